resource "aws_security_group" "host" {
  name        = var.name
  description = "ghevault: nothing comes in; out to the appliance, AWS and whoever is told"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "appliance" {
  security_group_id = aws_security_group.host.id
  description       = "appliance"
  ip_protocol       = "tcp"
  from_port         = 122
  to_port           = 122
  cidr_ipv4         = var.appliance_cidr
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.host.id
  description       = "AWS, registry, messages"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

# Under the account's key for EBS, which nobody can delete: state and notices must outlive the key of the vault.
resource "aws_ebs_volume" "data" {
  #checkov:skip=CKV_AWS_189:see above
  availability_zone = var.zone
  size              = var.volume_size
  type              = "gp3"
  encrypted         = true
  final_snapshot    = true
  tags              = { Name = "${var.name}-data" }
}

resource "aws_volume_attachment" "data" {
  count       = local.has_host ? 1 : 0
  device_name = "/dev/sdf"
  instance_id = aws_instance.host[0].id
  volume_id   = aws_ebs_volume.data.id
}

resource "aws_instance" "host" {
  count                       = local.has_host ? 1 : 0
  ami                         = var.image_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.host.id]
  iam_instance_profile        = aws_iam_instance_profile.runner.name
  associate_public_ip_address = false
  ebs_optimized               = true
  monitoring                  = true
  user_data_replace_on_change = true
  tags                        = { Name = var.name }

  user_data = templatefile("${path.module}/user-data.yaml", {
    Name         = var.name
    Region       = local.region
    VolumeSerial = replace(aws_ebs_volume.data.id, "-", "")
    VaultBucket  = aws_s3_bucket.vault.id
    Board        = aws_s3_bucket.board.id
    OtherBoard   = local.has_other ? ", \"read:s3://${var.name}-board-${var.other_account}-${local.region}/ghe\"" : ""
    OtherKey     = local.has_other_key ? "\"${var.other_seal_key}=other\"" : ""
    Compare      = local.has_other_key ? "compare = \"daily 06:10\"" : "# compare: without the other vault's key there is nothing to compare with"
    Image        = var.image
    Appliance    = var.appliance
    HostKey      = var.host_key
    SshKey       = var.ssh_key
    Schedule     = var.schedule
    TimeZone     = var.time_zone
    Objective    = var.objective
  })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # the container is on the host's network
  }

  root_block_device {
    encrypted = true
  }

  depends_on = [aws_iam_role_policy.vault, aws_iam_role_policy.report]
}
