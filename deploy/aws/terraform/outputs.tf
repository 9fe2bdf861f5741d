output "key_alias" {
  description = "For `ghevault init --kms-key` and `ghevault key create --kms-key`"
  value       = aws_kms_alias.this.name
}

output "vault" {
  description = "The vault, as ghevault names it"
  value       = "s3:${local.region}/${aws_s3_bucket.vault.id}/ghe"
}

output "board" {
  description = "The notice board"
  value       = aws_s3_bucket.board.id
}

output "roles" {
  description = "Runner, pruner, reader and locks"
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
