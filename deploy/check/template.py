"""Reads a CloudFormation template as AWS would: resolves references with the names of one account.

Only what deploy/aws uses: Ref, Fn::Sub, Fn::GetAtt, Fn::If, Fn::Join, Fn::Split, Fn::Base64, conditions with Not and Equals.
"""

import re

import cfnlint.decode.cfn_yaml

ACCOUNT, REGION = "111111111111", "eu-central-1"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws"}
NOTHING = object()


class Template:
    """A template with its parameters' values; `key` is the ARN of its KMS key."""

    def __init__(self, path, parameters, key):
        self.body = cfnlint.decode.cfn_yaml.load(str(path))
        self.parameters = {name: str(p.get("Default", "")) for name, p in self.body["Parameters"].items()} | parameters
        self.key = key

    def ref(self, name):
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        resource = self.body["Resources"][name]
        named = {"AWS::S3::Bucket": "BucketName", "AWS::IAM::Role": "RoleName"}.get(resource["Type"])
        return self.value(resource["Properties"][named]) if named else f"{name.lower()}-id"

    def attribute(self, name, attribute):
        resource = self.body["Resources"][name]
        if resource["Type"] == "AWS::KMS::Key":
            return self.key
        if resource["Type"] == "AWS::S3::Bucket" and attribute == "Arn":
            return f"arn:aws:s3:::{self.ref(name)}"
        if resource["Type"] == "AWS::IAM::Role" and attribute == "Arn":
            return f"arn:aws:iam::{ACCOUNT}:role/{self.ref(name)}"
        raise KeyError(f"{name}.{attribute}")

    def holds(self, condition):
        if isinstance(condition, str):
            return self.holds(self.body["Conditions"][condition])
        (operator, operands), = condition.items()
        if operator == "Fn::Not":
            return not self.holds(operands[0])
        if operator == "Fn::Equals":
            return self.value(operands[0]) == self.value(operands[1])
        raise KeyError(operator)

    def sub(self, text, names):
        def one(match):
            name = match.group(1)
            if name in names:
                return self.value(names[name])
            resource, dot, attribute = name.partition(".")
            return self.attribute(resource, attribute) if dot else self.ref(name)

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", one, text)

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, operand), = node.items()
            match function:
                case "Ref":
                    return self.ref(operand)
                case "Fn::GetAtt":
                    return self.attribute(*(operand if isinstance(operand, list) else operand.split(".")))
                case "Fn::Sub":
                    return self.sub(operand, {}) if isinstance(operand, str) else self.sub(*operand)
                case "Fn::If":
                    return self.value(operand[1 if self.holds(operand[0]) else 2])
                case "Fn::Join":
                    return operand[0].join(self.value(operand[1]))
                case "Fn::Split":
                    return self.value(operand[1]).split(operand[0])
                case "Fn::Base64":
                    return self.value(operand)
        pairs = {key: self.value(value) for key, value in node.items()}
        return {str(key): value for key, value in pairs.items() if value is not NOTHING}

    def properties(self, name):
        return self.value(self.body["Resources"][name]["Properties"])

    def raw_user_data(self):
        """The host's user data as it stands there, and the names that it uses."""
        text, names = self.body["Resources"]["Instance"]["Properties"]["UserData"]["Fn::Base64"]["Fn::Sub"]
        return text, names

    def policies(self):
        """Every identity's policy: name of the resource -> document."""
        return {
            name: self.properties(name)["PolicyDocument"]
            for name, resource in self.body["Resources"].items()
            if resource["Type"] == "AWS::IAM::RolePolicy"
        }
