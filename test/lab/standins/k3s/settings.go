package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"slipway.test/standins/engine"
)

const (
	dataDir          = "/var/lib/rancher/k3s"
	serverDir        = dataDir + "/server"
	agentDir         = dataDir + "/agent"
	tlsDir           = serverDir + "/tls"
	configFile       = "/etc/rancher/k3s/config.yaml"
	registriesFile   = "/etc/rancher/k3s/registries.yaml"
	passwordFile     = "/etc/rancher/node/password"
	adminKubeconfig  = "/etc/rancher/k3s/k3s.yaml"
	containerdSocket = "/run/k3s/containerd/containerd.sock"
)

// What server and agent both know. Source: k3s, pkg/cli/cmds/agent.go.
var nodeSettings = map[string]engine.Kind{
	"token": engine.Text, "token-file": engine.Text, "server": engine.Text, "data-dir": engine.Text,
	"node-name": engine.Text, "node-ip": engine.List, "node-external-ip": engine.List, "node-label": engine.List, "node-taint": engine.List,
	"kubelet-arg": engine.List, "kube-proxy-arg": engine.List, "pause-image": engine.Text, "private-registry": engine.Text,
	"resolv-conf": engine.Text, "selinux": engine.Flag, "debug": engine.Flag, "protect-kernel-defaults": engine.Flag,
	"lb-server-port": engine.Text, "snapshotter": engine.Text, "prefer-bundled-bin": engine.Flag,
}

// What only a server knows. Source: k3s, pkg/cli/cmds/server.go.
var serverSettings = map[string]engine.Kind{
	"agent-token": engine.Text, "agent-token-file": engine.Text, "cluster-init": engine.Flag, "tls-san": engine.List,
	"bind-address": engine.Text, "advertise-address": engine.Text, "https-listen-port": engine.Text,
	"cluster-cidr": engine.List, "service-cidr": engine.List, "cluster-dns": engine.List, "cluster-domain": engine.Text,
	"flannel-backend": engine.Text, "write-kubeconfig": engine.Text, "write-kubeconfig-mode": engine.Text,
	"disable": engine.List, "disable-network-policy": engine.Flag, "disable-helm-controller": engine.Flag, "disable-cloud-controller": engine.Flag,
	"disable-kube-proxy": engine.Flag, "secrets-encryption": engine.Flag,
	"kube-apiserver-arg": engine.List, "kube-controller-manager-arg": engine.List, "kube-scheduler-arg": engine.List, "etcd-arg": engine.List,
	"etcd-disable-snapshots": engine.Flag, "etcd-snapshot-schedule-cron": engine.Text, "etcd-snapshot-retention": engine.Text,
	"etcd-expose-metrics": engine.Flag, "default-local-storage-path": engine.Text, "system-default-registry": engine.Text,
}

var disableItems = map[string]bool{"coredns": true, "servicelb": true, "traefik": true, "local-storage": true, "metrics-server": true, "runtimes": true}

func readSettings(args []string, kinds ...map[string]engine.Kind) (*engine.Settings, error) {
	known := map[string]engine.Kind{}
	for _, some := range kinds {
		for name, kind := range some {
			known[name] = kind
		}
	}
	settings := engine.NewSettings(known)
	if info, err := os.Stat(configFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s holds a token and is readable by others (%s): the stand-in refuses that", configFile, info.Mode())
	}
	if err := settings.ReadFile(configFile); err != nil {
		return nil, err
	}
	rest, err := settings.ParseFlags(args)
	if err != nil {
		return nil, fmt.Errorf("Incorrect Usage: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("Incorrect Usage: unexpected argument %q", rest[0])
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "--token") || strings.HasPrefix(arg, "--agent-token") {
			return nil, fmt.Errorf("a token on the command line is seen by everybody: the stand-in refuses that")
		}
	}
	if settings.Text("data-dir", dataDir) != dataDir {
		return nil, fmt.Errorf("the stand-in knows only %s", dataDir)
	}
	return settings, nil
}

// token is the parts of a join token.
type token struct{ caHash, user, password string }

var fullToken = regexp.MustCompile(`^K10([0-9a-f]{64})::([a-z]+):(.+)$`)

func readToken(settings *engine.Settings) (token, error) {
	text := settings.Text("token", "")
	if file := settings.Text("token-file", ""); file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return token{}, err
		}
		text = strings.TrimSpace(string(content))
	}
	return parseToken(text)
}

func parseToken(text string) (token, error) {
	if parts := fullToken.FindStringSubmatch(text); parts != nil {
		return token{parts[1], parts[2], parts[3]}, nil
	}
	if strings.HasPrefix(text, "K10") {
		return token{}, fmt.Errorf("invalid token CA hash length")
	}
	return token{"", "server", text}, nil
}

// nodeOf is the name and address of this host as a node.
func nodeOf(settings *engine.Settings) (name, address string, err error) {
	if name = settings.Text("node-name", ""); name == "" {
		if name, err = os.Hostname(); err != nil {
			return "", "", err
		}
	}
	if addresses := settings.List("node-ip"); len(addresses) > 0 {
		if net.ParseIP(addresses[0]) == nil {
			return "", "", fmt.Errorf("invalid node-ip: %s", addresses[0])
		}
		return strings.ToLower(name), addresses[0], nil
	}
	// k3s takes the address of the default route, and does not start without one.
	text, err := exec.Command("ip", "-4", "route", "get", "192.0.2.1").Output()
	match := regexp.MustCompile(` src ([0-9.]+)`).FindStringSubmatch(string(text))
	if err != nil || match == nil {
		return "", "", fmt.Errorf("unable to select an IP from default routes.")
	}
	return strings.ToLower(name), match[1], nil
}
