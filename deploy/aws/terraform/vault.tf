resource "aws_kms_key" "this" {
  description             = "Opens the vault, and wraps the appliance's SSH key"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = templatefile("${path.module}/policies/key.json", local.names)

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

# Not under KMS: the vault is encrypted by ghevault, and the recovery kit must open it when KMS is gone.
resource "aws_s3_bucket" "vault" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events are the account's record; a log bucket beside it would be one more to guard
  #checkov:skip=CKV_AWS_144:the second copy is the other account's own vault; replication would carry damage and rights across
  #checkov:skip=CKV_AWS_145:the vault is encrypted by ghevault, and its recovery kit must open it when KMS is gone
  #checkov:skip=CKV2_AWS_62:nobody needs to be told of every file; changes of what guards the bucket are told by alarms.tf
  bucket              = "${var.name}-vault-${local.account}-${local.region}"
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "vault" {
  bucket = aws_s3_bucket.vault.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "vault" {
  bucket = aws_s3_bucket.vault.id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.vault]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "vault" {
  bucket = aws_s3_bucket.vault.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "vault" {
  bucket = aws_s3_bucket.vault.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "vault" {
  bucket                  = aws_s3_bucket.vault.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "vault" {
  bucket = aws_s3_bucket.vault.id

  rule {
    id     = "broken-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "vault" {
  bucket = aws_s3_bucket.vault.id
  policy = templatefile("${path.module}/policies/vault.json", local.names)
}
