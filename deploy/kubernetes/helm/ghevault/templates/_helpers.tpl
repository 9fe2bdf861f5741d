{{- define "ghevault.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ghevault.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* A pod; the caller names root, arguments, daemon and, if it is not a template of the set, the claim. */}}
{{- define "ghevault.pod" -}}
{{- $ := .root -}}
{{- if not .daemon }}
restartPolicy: Never
{{- end }}
serviceAccountName: {{ $.Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 60
{{- with $.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $.Values.uid }}
  runAsGroup: {{ $.Values.uid }}
  fsGroup: {{ $.Values.uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: ghevault
    image: "{{ $.Values.image.repository }}:{{ $.Values.image.tag | default $.Chart.AppVersion }}"
    imagePullPolicy: {{ $.Values.image.pullPolicy }}
    args: {{ .arguments | toJson }}
    {{- if .shard }}
    env:
      # A Job of its own for each run: its name is the run's.
      - name: RUN
        valueFrom:
          fieldRef:
            fieldPath: metadata.labels['batch.kubernetes.io/job-name']
    {{- end }}
    {{- if .daemon }}
    ports:
      - name: http
        containerPort: 9122
    # All three ask whether the daemon works. /ready would take the pod out of the service when the objective is
    # broken, and so hide status page and metrics just then.
    startupProbe:
      httpGet:
        path: /healthz
        port: http
      failureThreshold: 30
      periodSeconds: 2
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 30
      timeoutSeconds: 5
    readinessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
    {{- end }}
    resources:
      {{- toYaml $.Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: data
        mountPath: /data
      - name: configuration
        mountPath: /etc/ghevault
        readOnly: true
      - name: secret
        mountPath: /meta/ghe-backup-secret
        readOnly: true
      - name: details
        mountPath: /details
        readOnly: true
volumes:
  {{- if not .daemon }}
  - name: data
    persistentVolumeClaim:
      claimName: {{ $.Release.Name }}-data
  {{- end }}
  - name: configuration
    configMap:
      name: {{ $.Release.Name }}
  - name: secret
    secret:
      secretName: {{ $.Values.secretName }}
      defaultMode: 0440
      items:
        - key: kms_private_ssh_key
          path: kms_private_ssh_key
  - name: details
    downwardAPI:
      items:
        - path: labels
          fieldRef:
            fieldPath: metadata.labels
{{- end }}

{{/* What a claim asks for. */}}
{{- define "ghevault.claim" -}}
accessModes: [{{ .Values.storage.accessMode }}]
{{- with .Values.storage.className }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.storage.size }}
{{- end }}
