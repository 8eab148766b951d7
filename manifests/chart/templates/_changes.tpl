{{/*
The chart is one more overlay: files has the objects that the kustomizations render, and each template here applies values to
.object in place.
*/}}

{{- define "change.deployment" }}
{{- $values := .Values }}
{{- $_ := set .object.spec "replicas" $values.replicas }}
{{- $labels := .object.metadata.labels }}
{{- range $name, $_ := $values.podLabels }}
{{- if hasKey $labels $name }}{{ fail (printf "podLabels: %s is set by the chart; remove it" $name) }}{{ end }}
{{- end }}
{{- $_ := set .object.spec.template "metadata" (dict "labels" (merge (dict) $labels $values.podLabels) "annotations" $values.podAnnotations) }}
{{- $pod := .object.spec.template.spec }}
{{- $_ := set $pod "securityContext" $values.podSecurityContext }}
{{- $_ := set $pod "nodeSelector" $values.nodeSelector }}
{{- range $field := list "tolerations" "affinity" "priorityClassName" "dnsPolicy" }}
{{- with index $values $field }}{{ $_ := set $pod $field . }}{{ end }}
{{- end }}
{{- if $values.hostNetwork }}
{{- $_ := set $pod "hostNetwork" true }}
{{- $_ := set $pod "dnsPolicy" ($values.dnsPolicy | default "ClusterFirstWithHostNet") }}
{{- /* A node has each port once, so a surplus Pod may have no node. */}}
{{- $_ := set .object.spec.strategy "rollingUpdate" (dict "maxSurge" 0 "maxUnavailable" 1) }}
{{- end }}
{{- with $values.image.pullSecrets }}{{ $_ := set $pod "imagePullSecrets" . }}{{ end }}
{{- $_ := set $pod "volumes" (concat $pod.volumes $values.extraVolumes) }}
{{- $container := first $pod.containers }}
{{- $_ := set $container "volumeMounts" (concat $container.volumeMounts $values.extraVolumeMounts) }}
{{- $arguments := list }}
{{- range $argument := $container.args }}
{{- $argument = replace "--listen=[::]:8443" (printf "--listen=[::]:%d" (int $values.ports.webhook)) $argument }}
{{- $arguments = append $arguments (replace "--admin-listen=[::]:8080" (printf "--admin-listen=[::]:%d" (int $values.ports.admin)) $argument) }}
{{- end }}
{{- $_ := set $container "args" $arguments }}
{{- range $container.ports }}{{ $_ := set . "containerPort" (int (index $values.ports .name)) }}{{ end }}
{{- $version := $values.image.tag | default .Chart.AppVersion | printf ":%s" }}
{{- with $values.image.digest }}{{ $version = printf "@%s" . }}{{ end }}
{{- $_ := set $container "image" (print $values.image.repository $version) }}
{{- $_ := set $container "imagePullPolicy" $values.image.pullPolicy }}
{{- $_ := set $container "resources" $values.resources }}
{{- range $flag := $values.flags }}
{{- range $argument := $container.args }}
{{- if eq (first (splitList "=" $flag)) (first (splitList "=" $argument)) }}
{{- fail (printf "flags: %s is set by the chart (%s); remove it" $flag $argument) }}
{{- end }}
{{- end }}
{{- end }}
{{- $_ := set $container "args" (concat $container.args $values.flags) }}
{{- end }}

{{- define "change.config" }}
{{- with .Values.config }}{{ $_ := set $.object.data "config.yaml" (toYaml . | printf "%s\n") }}{{ end }}
{{- end }}

{{- define "change.networkPolicy" }}
{{- $values := .Values.networkPolicy }}
{{- $ingress := list }}
{{- range list .Values.ports.webhook .Values.ports.admin }}{{ $ingress = append $ingress (dict "protocol" "TCP" "port" (int .)) }}{{ end }}
{{- $_ := set .object.spec "ingress" (list (dict "ports" $ingress)) }}
{{- $ports := list }}
{{- range $values.apiServerPorts }}{{ $ports = append $ports (dict "protocol" "TCP" "port" .) }}{{ end }}
{{- $_ := set .object.spec "egress" (prepend $values.egress (dict "ports" $ports)) }}
{{- end }}

{{- define "change.caBundle" }}
{{- $authority := .Values.certificates.authority }}
{{- range .object.webhooks }}
{{- if $authority }}{{ $_ := set .clientConfig "caBundle" (b64enc $authority) }}{{ end }}
{{- end }}
{{- end }}

{{- define "change.failurePolicy" }}
{{- /* An armed webhook owns the field: Ignore would conflict, or disarm it. lookup finds nothing without a cluster. */}}
{{- $live := lookup .object.apiVersion .object.kind "" .object.metadata.name }}
{{- range $webhook := .object.webhooks }}
{{- $_ := set $webhook "failurePolicy" $.Values.failurePolicy }}
{{- range $live.webhooks }}
{{- if and (eq .name $webhook.name) (eq .failurePolicy "Fail") }}{{ $_ := set $webhook "failurePolicy" "Fail" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
