"""Lints and renders a chart with Helm's own library: python helm.py CHART FOLDER

Writes one file per set of values into FOLDER. Values that the schema must refuse are tried, too.
"""

import pathlib
import sys

import helm_python

GOOD = {
    "helm-daemon": {},
    "helm-cronjob": {"mode": "cronjob"},
    "helm-shards": {"mode": "shards", "shards": {"count": 8}, "storage": {"className": "efs", "size": "1Gi", "accessMode": "ReadWriteMany"}},
    "helm-all": {
        "image": {"tag": "0.2.0", "pullSecrets": ["registry"]},
        "applianceCidrs": ["192.0.2.10/32", "192.0.2.11/32"],
        "storage": {"className": "ghevault-ebs", "size": "1Ti"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111111111111:role/ghevault-runner"}},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "backup", "operator": "Exists"}],
    },
}
BAD = [{"mode": "deployment"}, {"image": {"tag": "latest"}}, {"applianceCidrs": []}, {"uid": 0}, {"replicas": 2},
       {"mode": "shards"}, {"mode": "shards", "shards": {"count": 0}}]


def main():
    chart, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    found = helm_python.lint(chart)
    worse = [message for message in found["messages"] if message["severity"] > 1]
    if found["errors"] or worse:
        sys.exit(f"helm lint: {found}")
    with helm_python.Chart.load(chart) as loaded:
        for name, values in GOOD.items():
            loaded.validate_schema(values)
            rendered = loaded.render(values, name="ghe", namespace="ghevault")
            texts = [text for path, text in sorted(rendered.items()) if path.endswith(".yaml") and text.strip()]
            folder.joinpath(f"{name}.yaml").write_text("\n---\n".join(texts))
        for values in BAD:
            try:
                loaded.validate_schema(values)
            except helm_python.HelmError:
                continue
            sys.exit(f"the chart accepts {values}")


if __name__ == "__main__":
    main()
