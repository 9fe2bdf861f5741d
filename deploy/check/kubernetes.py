"""Judges rendered manifests: python kubernetes.py [--product GHEVAULT] FILE...

Strict schemas of several releases of Kubernetes, the Pod Security Standard `restricted`, and what these manifests promise: a network policy
and limits for every pod, probes for what goes on, no name that leads nowhere, and a configuration that the product itself accepts.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

RELEASES = ["1.31", "1.34", "1.37"]
FREE_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def pods(document):
    """The pod templates of a document, with what kind of work they are."""
    kind, spec = document["kind"], document.get("spec", {})
    if kind in ("StatefulSet", "Deployment", "DaemonSet", "Job"):
        yield kind, spec["template"]
    if kind == "CronJob":
        yield kind, spec["jobTemplate"]["spec"]["template"]


def restricted(pod):
    """What the Pod Security Standard `restricted` has against a pod."""
    spec = pod["spec"]
    whole = spec.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{key} is set"
    for volume in spec.get("volumes", []):
        for kind in set(volume) - {"name"} - FREE_VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("privileged"):
            yield f"{name} is privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        if not own.get("runAsNonRoot", whole.get("runAsNonRoot")):
            yield f"{name} may run as root"
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            yield f"{name} runs as root"
        if own.get("seccompProfile", whole.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} has no seccomp profile"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            yield f"{name} keeps capabilities"
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} adds capabilities"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name} has a port of the host"


def promises(kind, pod, claims, documents):
    """What these manifests promise beyond the standard."""
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "has a token of the API"
    if "fsGroup" not in spec.get("securityContext", {}):
        yield "cannot read its volumes: no fsGroup"
    volumes = {volume["name"] for volume in spec.get("volumes", [])} | claims
    for volume in spec.get("volumes", []):
        name = volume.get("configMap", {}).get("name")
        if name and ("ConfigMap", name) not in documents:
            yield f"no ConfigMap {name}"
        name = volume.get("persistentVolumeClaim", {}).get("claimName")
        if name and ("PersistentVolumeClaim", name) not in documents:
            yield f"no PersistentVolumeClaim {name}"
        if "secret" in volume and not volume["secret"].get("secretName"):
            yield f"volume {volume['name']} names no secret"
    if ("ServiceAccount", spec.get("serviceAccountName")) not in documents:
        yield f"no ServiceAccount {spec.get('serviceAccountName')}"
    for container in spec["containers"]:
        mounts = {mount["mountPath"]: mount for mount in container.get("volumeMounts", [])}
        for path in ("/data", "/etc/ghevault", "/meta/ghe-backup-secret", "/details"):
            if path not in mounts:
                yield f"nothing at {path}"
        for path, mount in mounts.items():
            if mount["name"] not in volumes:
                yield f"no volume {mount['name']}"
            if path != "/data" and not mount.get("readOnly"):
                yield f"{path} can be written"
        if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            yield "its root file system can be written"
        for which in ("requests", "limits"):
            for what in ("cpu", "memory", "ephemeral-storage"):
                if what not in container.get("resources", {}).get(which, {}):
                    yield f"no {which} of {what}"
                elif not re.fullmatch(r"[0-9]+(m|Mi|Gi)?", container["resources"][which][what]):
                    yield f"{which} of {what} are no quantity"
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if not tag or tag == "latest":
            yield f"image {container['image']} has no lasting tag"
        if kind == "StatefulSet":
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if container.get(probe, {}).get("httpGet", {}).get("path") != "/healthz":
                    yield f"no {probe} of /healthz"


def sharded(document, claims):
    """What is wrong with a job of several shards: each index is one shard, of as many, and all share one state folder."""
    spec = document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
    pod = spec.get("template", {}).get("spec", {})
    for container in pod.get("containers", []):
        arguments = container.get("args", [])
        if "--shard" not in arguments:
            continue
        count = arguments[arguments.index("--shard") + 1].removeprefix("auto/")
        if spec.get("completionMode") != "Indexed" or {str(spec.get("completions")), str(spec.get("parallelism"))} != {count}:
            yield f"{count} shards are not as many indexes"
        name = next((one for one in container.get("env", []) if one["name"] == "RUN"), {})
        if "$(RUN)" not in arguments or "job-name" not in name.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", ""):
            yield "its runs have no names of their own"
        for volume in pod["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claims.get(claim) != ["ReadWriteMany"]:
                yield f"the claim {claim} is not for several pods"


def guarded(pod, policies):
    """Whether a policy for both directions selects the pod, and lets it out to the appliance."""
    labels = pod["metadata"]["labels"]
    for policy in policies:
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        ports = [port["port"] for rule in policy["spec"].get("egress", []) for port in rule.get("ports", [])]
        everything = any(not rule or not rule.get("ports") for rule in policy["spec"].get("egress", []) + policy["spec"].get("ingress", []))
        if wanted.items() <= labels.items() and {"Ingress", "Egress"} <= set(policy["spec"]["policyTypes"]):
            if {53, 122, 443} <= set(ports) and not everything:
                return True
    return False


def accepted(text, product):
    """Whether the product accepts a configuration; what it says if not."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "ghevault.toml")
        file.write_text(text.replace('"/data/', f'"{folder}/'))
        done = subprocess.run([product, "--config", file, "schedule"], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "HOME": folder})
    return None if done.returncode == 0 else done.stderr.strip()


def judge(path, product):
    """Everything that is wrong in a file."""
    every = [document for document in yaml.safe_load_all(path.read_text()) if document]
    for document in every:
        for release in RELEASES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document['kind']}: Kubernetes {release}: {error.message}"
    names = {(document["kind"], document["metadata"]["name"]) for document in every}
    if len(names) != len(every):
        yield "two documents of one name"
    policies = [document for document in every if document["kind"] == "NetworkPolicy"]
    work = [(document, kind, pod) for document in every for kind, pod in pods(document)]
    if not work:
        yield "nothing that works"
    for document, kind, pod in work:
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        for fault in [*restricted(pod), *promises(kind, pod, claims, names)]:
            yield f"{kind} {document['metadata']['name']}: {fault}"
        if not guarded(pod, policies):
            yield f"{kind} {document['metadata']['name']}: no network policy holds for it"
        selector = document["spec"].get("selector", {}).get("matchLabels", {})
        if not selector.items() <= pod["metadata"]["labels"].items():
            yield f"{kind}: selects other pods"
    shared = {one["metadata"]["name"]: one["spec"]["accessModes"] for one in every if one["kind"] == "PersistentVolumeClaim"}
    jobs = {json.dumps(one["spec"]) for one in every if one["kind"] == "CronJob"}
    for document in every:
        if document["kind"] in ("CronJob", "Job"):
            faults = [*sharded(document, shared)]
            yield from (f"{document['kind']} {document['metadata']['name']}: {fault}" for fault in faults)
    if any("--shard" in job for job in jobs) and not any("--join" in job for job in jobs):
        yield "nobody joins the shards"
    for document in every:
        if document["kind"] == "CronJob" and document["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"CronJob {document['metadata']['name']}: runs beside itself"
        if document["kind"] == "Namespace" and document["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield "the namespace enforces no Pod Security Standard"
        if document["kind"] == "Service":
            if not any(document["spec"]["selector"].items() <= pod["metadata"]["labels"].items() for _, _, pod in work):
                yield "the service selects no pod"
        if document["kind"] == "ConfigMap" and product:
            fault = accepted(document["data"]["ghevault.toml"], product)
            if fault:
                yield f"ghevault.toml: {fault}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--product")
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    arguments = arguments.parse_args()
    faults = [f"{path.name}: {fault}" for path in arguments.files for fault in judge(path, arguments.product)]
    print("\n".join(faults), file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
