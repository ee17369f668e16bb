{{/* How metrics are read, and what is made of them. Charts are rendered without a cluster too: then
     `Auto` makes nothing that the API server might not know. */}}

{{/* Whether an object is to be made. Takes a list: the root, `Auto`, `Always` or `Never`, and the kind. */}}
{{- define "forebay.monitoring.makes" -}}
{{- $root := index . 0 -}}
{{- $create := index . 1 -}}
{{- if or (eq $create "Always") (and (eq $create "Auto") ($root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 2)))) -}}
true
{{- end -}}
{{- end -}}

{{/* The annotations of pods: what a Prometheus without PodMonitors reads, then the component's own.
     Takes a list: the root and the component's values. */}}
{{- define "forebay.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $annotations := deepCopy (index . 1).podAnnotations -}}
{{- $scrape := $root.Values.monitoring.scrapeAnnotations -}}
{{- $podMonitors := include "forebay.monitoring.makes" (list $root $root.Values.monitoring.podMonitors.create "PodMonitor") -}}
{{- if or (eq $scrape "Always") (and (eq $scrape "Auto") (not $podMonitors)) -}}
{{- $annotations = merge $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" "9090" "prometheus.io/path" "/metrics") -}}
{{- end -}}
{{- with $annotations -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* One file of rules with the values filled in, and what is between the lines `# -- counted over __WINDOW__`
     and `# -- end of __WINDOW__` once for each window. Takes a list: the root and the file's text. */}}
{{- define "forebay.monitoring.rules" -}}
{{- $root := index . 0 -}}
{{- $monitoring := $root.Values.monitoring -}}
{{- $objectives := $monitoring.objectives -}}
{{- $words := dict
      "AVAILABILITY" $objectives.availability
      "LATENCY" $objectives.latency
      "ONE_SECOND" $objectives.oneSecond
      "FRESHNESS" $objectives.freshness
      "MINIMUM" (int64 $monitoring.rules.minimum)
      "EXPIRY" $monitoring.rules.expiryRatio
      "FULL_HOURS" $monitoring.rules.streamFullHours
      "CERTIFICATE_DAYS" (int64 $monitoring.rules.certificateDays)
      "SECRET_DAYS" (int64 $monitoring.rules.secretDays)
      "RUNBOOKS" ($monitoring.rules.runbooks | trimSuffix "/")
      "PARTITIONS" (mul 16 (len $root.Values.shards))
      "SHARED" (ternary 1 0 $root.Values.receivers.shared.enabled)
      "NAMESPACE" $root.Release.Namespace
      "NAME" (include "forebay.fullname" $root) -}}
{{- $text := index . 1 -}}
{{- $counted := regexFind "(?s) *# -- counted over __WINDOW__.*# -- end of __WINDOW__\n" $text -}}
{{- if $counted -}}
{{- $windows := list -}}
{{- range $window := list "5m" "1h" -}}
{{- $windows = append $windows ($counted | replace "__WINDOW__" $window) -}}
{{- end -}}
{{- $text = $text | replace $counted (join "\n" $windows) -}}
{{- end -}}
{{- range $word, $value := $words -}}
{{- $text = $text | replace (printf "__%s__" $word) (toString $value) -}}
{{- end -}}
{{- $text -}}
{{- end -}}
