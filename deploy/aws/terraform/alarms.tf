resource "aws_cloudwatch_metric_alarm" "objective" {
  count               = local.has_host ? 1 : 0
  alarm_name          = "${var.name}-objective"
  alarm_description   = "The last complete backup is older than the objective allows, or the host is silent"
  namespace           = "ghevault"
  metric_name         = "ObjectiveMet"
  dimensions          = { Host = var.name }
  statistic           = "Maximum"
  period              = 900
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "hardware" {
  count               = local.has_host ? 1 : 0
  alarm_name          = "${var.name}-hardware"
  alarm_description   = "The machine under the host is broken; the host is moved to another one"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed_System"
  dimensions          = { InstanceId = aws_instance.host[0].id }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  alarm_actions       = [var.alarm_topic_arn, "arn:${local.partition}:automate:${local.region}:ec2:recover"]
}

# Both need a trail in this region, as every account should have.
resource "aws_cloudwatch_event_rule" "key" {
  name        = "${var.name}-key"
  description = "Somebody takes the vault's key away, or changes who may use it"

  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName   = ["DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy"]
      resources   = { ARN = [aws_kms_key.this.arn] }
    }
  })
}

resource "aws_cloudwatch_event_target" "key" {
  rule = aws_cloudwatch_event_rule.key.name
  arn  = var.alarm_topic_arn
}

resource "aws_cloudwatch_event_rule" "vault" {
  name        = "${var.name}-vault"
  description = "Somebody changes what guards the vault or the notice board"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["s3.amazonaws.com"]
      eventName = [
        "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketLifecycle", "PutBucketObjectLockConfiguration",
        "PutBucketVersioning", "PutBucketPublicAccessBlock",
      ]
      requestParameters = { bucketName = [aws_s3_bucket.vault.id, aws_s3_bucket.board.id] }
    }
  })
}

resource "aws_cloudwatch_event_target" "vault" {
  rule = aws_cloudwatch_event_rule.vault.name
  arn  = var.alarm_topic_arn
}
