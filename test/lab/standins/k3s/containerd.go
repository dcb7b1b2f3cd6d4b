package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"slipway.test/standins/engine"
)

// The template that k3s has inside, as far as its settings matter here; one in config.toml.tmpl replaces it, and may include it as "base".
const base = `version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "{{ .NodeConfig.Containerd.Opt }}"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "10010"
  enable_selinux = {{ .NodeConfig.SELinux }}
{{- if .IsRunningInUserNS }}
  disable_apparmor = true
  restrict_oom_score_adj = true
{{end}}
  sandbox_image = "{{ .NodeConfig.AgentConfig.PauseImage }}"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{{ .NodeConfig.AgentConfig.Snapshotter }}"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{{ .NodeConfig.AgentConfig.CNIBinDir }}"
  conf_dir = "{{ .NodeConfig.AgentConfig.CNIConfDir }}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = {{ .SystemdCgroup }}
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "` + agentDir + `/etc/containerd/certs.d"
`

type containerdFacts struct {
	NodeConfig struct {
		SELinux    bool
		Containerd struct{ Opt string }
		// Under the names that k3s' templates use.
		AgentConfig struct{ PauseImage, Snapshotter, CNIBinDir, CNIConfDir string }
	}
	IsRunningInUserNS, SystemdCgroup, DisableCgroup bool
	Program                                         string
}

func writeContainerdConfig(settings *engine.Settings, self node) error {
	dir := agentDir + "/etc/containerd"
	var facts containerdFacts
	facts.Program = "k3s"
	facts.NodeConfig.SELinux = settings.Flag("selinux")
	facts.NodeConfig.Containerd.Opt = agentDir + "/containerd"
	facts.NodeConfig.AgentConfig.PauseImage = settings.Text("pause-image", "rancher/mirrored-pause:3.6")
	facts.NodeConfig.AgentConfig.Snapshotter = settings.Text("snapshotter", "overlayfs")
	facts.NodeConfig.AgentConfig.CNIBinDir = self.bin
	facts.NodeConfig.AgentConfig.CNIConfDir = agentDir + "/etc/cni/net.d"
	parsed := template.Must(template.New("base").Parse(base))
	if text, err := os.ReadFile(dir + "/config.toml.tmpl"); err == nil {
		if parsed, err = parsed.New("config").Parse(string(text)); err != nil {
			return err
		}
	}
	var config bytes.Buffer
	if err := parsed.Execute(&config, facts); err != nil {
		return err
	}
	if err := engine.WriteFile(dir+"/config.toml", config.Bytes(), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(dir + "/certs.d"); err != nil {
		return err
	}
	return writeRegistries(settings.Text("private-registry", registriesFile), dir+"/certs.d")
}

// writeRegistries makes what containerd reads of registries.yaml. Unknown keys are refused; k3s passes over them.
func writeRegistries(file, dir string) error {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 && strings.Contains(string(text), "password") {
		return fmt.Errorf("%s holds a password and is readable by others: the stand-in refuses that", file)
	}
	registries, err := engine.ParseYAMLMap(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	mirrors, configs := map[string]any{}, map[string]any{}
	for key, value := range registries {
		switch mapping, ok := value.(map[string]any); {
		case key == "mirrors" && ok:
			mirrors = mapping
		case key == "configs" && ok:
			configs = mapping
		default:
			return fmt.Errorf("%s: unknown key %s", file, key)
		}
	}
	for name := range configs {
		if _, also := mirrors[name]; !also {
			mirrors[name] = map[string]any{"endpoint": []any{"https://" + name}}
		}
	}
	for name, value := range mirrors {
		mirror, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: mirror %s is no mapping", file, name)
		}
		lines := []string{fmt.Sprintf("server = %q", "https://"+upstream(name))}
		for key, endpoints := range mirror {
			list, ok := endpoints.([]any)
			if key != "endpoint" || !ok {
				return fmt.Errorf("%s: unknown key %s of mirror %s", file, key, name)
			}
			for _, endpoint := range list {
				more, err := hostLines(fmt.Sprint(endpoint), configs)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				lines = append(lines, more...)
			}
		}
		if err := engine.WriteFile(filepath.Join(dir, name, "hosts.toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func hostLines(endpoint string, configs map[string]any) ([]string, error) {
	lines := []string{fmt.Sprintf("[host.%q]", endpoint), `  capabilities = ["pull", "resolve"]`}
	host := strings.TrimPrefix(strings.TrimPrefix(endpoint, "https://"), "http://")
	config, _ := configs[host].(map[string]any)
	for key, value := range config {
		mapping, ok := value.(map[string]any)
		if !ok || (key != "tls" && key != "auth") {
			return nil, fmt.Errorf("unknown key %s of %s", key, host)
		}
		if key == "tls" {
			for name, value := range mapping {
				if name != "ca_file" {
					return nil, fmt.Errorf("unknown key %s of %s", name, host)
				}
				if !engine.Exists(fmt.Sprint(value)) {
					return nil, fmt.Errorf("%v is not there", value)
				}
				lines = append(lines, fmt.Sprintf("  ca = %q", value))
			}
		}
	}
	if auth, ok := config["auth"].(map[string]any); ok {
		lines = append(lines, fmt.Sprintf("  [host.%q.header]", endpoint),
			fmt.Sprintf("    Authorization = [%q]", "Basic "+base64Of(fmt.Sprint(auth["username"], ":", auth["password"]))))
	}
	return lines, nil
}

func upstream(name string) string {
	if name == "docker.io" {
		return "registry-1.docker.io"
	}
	return name
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
