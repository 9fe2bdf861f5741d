terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name

  # what policies/*.json call things
  names = {
    Vault      = "arn:${local.partition}:s3:::${var.name}-vault-${local.account}-${local.region}"
    Board      = "arn:${local.partition}:s3:::${var.name}-board-${local.account}-${local.region}"
    OtherBoard = "arn:${local.partition}:s3:::${var.name}-board-${var.other_account}-${local.region}"
    OtherRoot  = "arn:${local.partition}:iam::${var.other_account}:root"
    OtherRole  = "arn:${local.partition}:iam::${var.other_account}:role/${var.name}-runner"
    Root       = "arn:${local.partition}:iam::${local.account}:root"
  }
  has_other     = var.other_account != ""
  has_other_key = var.other_seal_key != ""
  has_host      = var.ssh_key != ""
}
