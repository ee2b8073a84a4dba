{{- define "name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- define "labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "selector" . }}
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Replicas that there may ever be. */ -}}
{{- define "most" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicas }}{{ end -}}
{{- end -}}

{{- /* A value as text: Helm reads every number as a float, and would write 6.7108864e+07. */ -}}
{{- define "plain" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- /* What a pod may do. */ -}}
{{- define "confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "spread" -}}
- maxSkew: 1
  topologyKey: {{ .context.Values.spread.topologyKey }}
  whenUnsatisfiable: {{ .context.Values.spread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "selector" .context | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "contradictions" -}}
{{- with .Values -}}
{{- if and (not .apiKey.secret) (not .allowNoKey) }}
{{- fail "apiKey.secret is empty: make a secret with an API key (kubectl create secret generic darling-key --from-literal=api-key=KEY) and name it, or set allowNoKey=true where the network keeps all others out" }}
{{- end }}
{{- if and .apiKey.secret .allowNoKey }}
{{- fail "apiKey.secret and allowNoKey are both set; choose one" }}
{{- end }}
{{- if and .autoscaling.enabled (lt (int .autoscaling.maxReplicas) (int .replicas)) }}
{{- fail "autoscaling.maxReplicas is below replicas, the fewest; raise it" }}
{{- end }}
{{- if and .monitoring.serviceMonitor.enabled .networkPolicy.enabled (not .networkPolicy.metricsFrom) }}
{{- fail "networkPolicy.metricsFrom is empty, so that Prometheus could not reach the replicas; name its pods or namespace" }}
{{- end }}
{{- if and .monitoring.serviceMonitor.enabled .apiKey.named (not .monitoring.serviceMonitor.key.secret) }}
{{- fail "monitoring.serviceMonitor.key.secret is empty: apiKey.secret holds lines of named keys, so name a secret with one key for Prometheus" }}
{{- end }}
{{- if and (hasPrefix "sqlite" (.settings.history_url | default "")) (gt (int (include "most" $)) 1) }}
{{- fail "settings.history_url names a file, of which each replica would have its own; give the URL of a PostgreSQL in secretSettings.history_url, or set replicas=1" }}
{{- end }}
{{- range $name, $value := .secretSettings }}
{{- if hasKey $.Values.settings $name }}{{ fail (printf "%s is in settings and in secretSettings; choose one" $name) }}{{ end }}
{{- end }}
{{- end -}}
{{- end -}}
