locals {
  # name: what the role does
  roles = {
    runner = "backs up, verifies and restores"
    pruner = "forgets and prunes; a lock that holds still refuses"
    reader = "reads everything, behind delete markers too, and compares the bucket with what it must be"
    locks  = "makes locks longer; writes nothing but leases"
  }
}

resource "aws_iam_role" "this" {
  for_each             = local.roles
  name                 = "${var.name}-${each.key}"
  description          = each.value
  max_session_duration = each.key == "runner" ? 3600 : 14400

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = each.key == "runner" ? { Service = "ec2.amazonaws.com" } : { AWS = var.operator_arn }
    }]
  })
}

# The suite runs the product under each of these policies, and with each action taken away.
resource "aws_iam_role_policy" "vault" {
  for_each = local.roles
  name     = "vault"
  role     = aws_iam_role.this[each.key].id
  policy   = templatefile("${path.module}/policies/${each.key}.json", merge(local.names, { Key = aws_kms_key.this.arn }))
}

# What the host does beside ghevault: the aws program, for the alarm and the notice boards.
resource "aws_iam_role_policy" "report" {
  name   = "report"
  role   = aws_iam_role.this["runner"].id
  policy = templatefile("${path.module}/policies/report.json", local.names)
}

resource "aws_iam_role_policy" "other_board" {
  count  = local.has_other ? 1 : 0
  name   = "other-board"
  role   = aws_iam_role.this["runner"].id
  policy = templatefile("${path.module}/policies/other-board.json", local.names)
}

resource "aws_iam_role_policy_attachment" "access" {
  count      = var.access_policy_arn == "" ? 0 : 1
  role       = aws_iam_role.this["runner"].name
  policy_arn = var.access_policy_arn
}

resource "aws_iam_instance_profile" "runner" {
  name = "${var.name}-runner"
  role = aws_iam_role.this["runner"].name
}
