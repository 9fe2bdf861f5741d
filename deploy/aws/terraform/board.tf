# The notice board: this account writes, the other one reads. Not under KMS, since the other account has no key of this one.
resource "aws_s3_bucket" "board" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events are the account's record; a log bucket beside it would be one more to guard
  #checkov:skip=CKV_AWS_144:the second copy is the other account's own vault; replication would carry damage and rights across
  #checkov:skip=CKV_AWS_145:the other account must read it without a key of this one; notices are signed digests
  #checkov:skip=CKV2_AWS_62:nobody needs to be told of every file; changes of what guards the bucket are told by alarms.tf
  bucket              = "${var.name}-board-${local.account}-${local.region}"
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "board" {
  bucket = aws_s3_bucket.board.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "board" {
  bucket = aws_s3_bucket.board.id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.board]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "board" {
  bucket = aws_s3_bucket.board.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "board" {
  bucket = aws_s3_bucket.board.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "board" {
  bucket                  = aws_s3_bucket.board.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "board" {
  bucket = aws_s3_bucket.board.id

  rule {
    id     = "broken-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "board" {
  bucket = aws_s3_bucket.board.id
  policy = templatefile("${path.module}/policies/${local.has_other ? "board" : "board-alone"}.json", local.names)
}
