package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Containerd is Debian's containerd with its directories and configuration.
type Containerd struct {
	Bin, Root, State, Socket, ConfigFile string
}

// Start starts it and waits until it answers. Containers that run go on when it ends, and it finds them again.
func (c *Containerd) Start(family *Family) error {
	for _, dir := range []string{c.Root, c.State, filepath.Dir(c.Socket)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	path := "PATH=" + c.Bin + ":" + os.Getenv("PATH")
	// systemd's socket is for this program alone.
	if err := family.StartWith("containerd", []string{path, "NOTIFY_SOCKET="}, filepath.Join(c.Bin, "containerd"),
		"--config="+c.ConfigFile, "--root="+c.Root, "--state="+c.State, "--address="+c.Socket, "--log-level=warn"); err != nil {
		return err
	}
	return family.WaitUntil("containerd", time.Minute, func(ctx context.Context) error {
		_, err := c.Ctr(ctx, "version")
		return err
	})
}

// Ctr runs ctr in the namespace of Kubernetes.
func (c *Containerd) Ctr(ctx context.Context, args ...string) (string, error) {
	all := append([]string{"--address=" + c.Socket, "--namespace=k8s.io"}, args...)
	text, err := exec.CommandContext(ctx, filepath.Join(c.Bin, "ctr"), all...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return string(text), nil
}

// ImportImages loads every archive of container images in a directory; a directory that is not there has none.
func (c *Containerd) ImportImages(ctx context.Context, dir string) error {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		name := file.Name()
		path := filepath.Join(dir, name)
		switch {
		case file.IsDir():
		case strings.HasSuffix(name, ".tar"):
			Logf("importing images of %s", path)
			if _, err := c.Ctr(ctx, "images", "import", path); err != nil {
				return err
			}
		case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
			Logf("importing images of %s", path)
			command := exec.CommandContext(ctx, "sh", "-c", `gzip -dc "$1" | "$2" --address="$3" --namespace=k8s.io images import -`,
				"sh", path, filepath.Join(c.Bin, "ctr"), c.Socket)
			if text, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("importing %s: %w: %s", path, err, text)
			}
		default:
			Logf("%s is no archive that this stand-in reads", path)
		}
	}
	return nil
}

// Kubelet is kubelet and kube-proxy of one host: the real ones.
type Kubelet struct {
	Bin                       string
	NodeName, NodeIP          string
	Kubeconfig                string
	BootstrapKubeconfig       string
	ClientCA                  string
	ServingCert, ServingKey   string
	Socket                    string
	RootDir                   string
	Labels, Taints            []string
	ClusterDNS, ClusterDomain string
	ClusterCIDR               string
	// The kubeconfig of kube-proxy; empty: none runs.
	ProxyKubeconfig string
	ExtraKubelet    []string
	ExtraProxy      []string
	// Where the configuration file of kubelet is written, and certificates that it asks for.
	ConfigFile string
	CertDir    string
}

// Start starts both.
func (k *Kubelet) Start(family *Family) error {
	config := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": k.ClientCA},
		},
		"authorization": map[string]any{"mode": "Webhook"},
		"cgroupDriver":  "cgroupfs", "clusterDNS": []string{k.ClusterDNS}, "clusterDomain": k.ClusterDomain,
		"failSwapOn": false, "healthzBindAddress": "127.0.0.1", "serializeImagePulls": false,
		"evictionHard": map[string]string{"imagefs.available": "0%", "nodefs.available": "0%"},
	}
	if k.ServingCert != "" {
		config["tlsCertFile"], config["tlsPrivateKeyFile"] = k.ServingCert, k.ServingKey
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	if err := WriteFile(k.ConfigFile, text, 0o600); err != nil {
		return err
	}
	args := []string{
		"--config=" + k.ConfigFile, "--kubeconfig=" + k.Kubeconfig, "--hostname-override=" + k.NodeName, "--node-ip=" + k.NodeIP,
		"--container-runtime=remote", "--container-runtime-endpoint=unix://" + k.Socket, "--root-dir=" + k.RootDir,
		"--resolv-conf=/etc/resolv.conf", "--register-node=true",
	}
	if k.CertDir != "" {
		args = append(args, "--cert-dir="+k.CertDir)
	}
	if k.BootstrapKubeconfig != "" {
		args = append(args, "--bootstrap-kubeconfig="+k.BootstrapKubeconfig)
	}
	if len(k.Labels) > 0 {
		args = append(args, "--node-labels="+strings.Join(k.Labels, ","))
	}
	if len(k.Taints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(k.Taints, ","))
	}
	path := "PATH=" + k.Bin + ":" + os.Getenv("PATH")
	env := []string{path, "NOTIFY_SOCKET="}
	if err := family.StartPatiently("kubelet", env, filepath.Join(k.Bin, "kubelet"), append(args, k.ExtraKubelet...)...); err != nil {
		return err
	}
	if k.ProxyKubeconfig == "" {
		return nil
	}
	proxy := append([]string{
		"--kubeconfig=" + k.ProxyKubeconfig, "--hostname-override=" + k.NodeName, "--cluster-cidr=" + k.ClusterCIDR,
		// Not every host lets the size of the connection table be changed.
		"--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		"--healthz-bind-address=127.0.0.1",
	}, k.ExtraProxy...)
	return family.StartWith("kube-proxy", env, filepath.Join(k.Bin, "kube-proxy"), proxy...)
}

// BridgeNetwork gives the pods of this host a bridge, as soon as the cluster has given the node addresses for them. Pods of different hosts
// do not reach each other, which the real programs' networks do.
func BridgeNetwork(family *Family, api *API, nodeName, confFile, bridge string) {
	family.Go("the network of pods", func(ctx context.Context) error {
		return family.WaitUntil("addresses for pods", 10*time.Minute, func(ctx context.Context) error {
			node, err := api.Node(ctx, nodeName)
			if err != nil {
				return err
			}
			if Exists(SwitchNoNetwork) {
				return fmt.Errorf("%s is there", SwitchNoNetwork)
			}
			if node.Spec.PodCIDR == "" {
				return fmt.Errorf("node %s has none", nodeName)
			}
			text := fmt.Sprintf(`{"name":"cbr0","cniVersion":"0.3.1","plugins":[
{"type":"bridge","bridge":%q,"isGateway":true,"ipMasq":true,"hairpinMode":true,
 "ipam":{"type":"host-local","ranges":[[{"subnet":%q}]],"routes":[{"dst":"0.0.0.0/0"}]}},
{"type":"portmap","capabilities":{"portMappings":true}}]}
`, bridge, node.Spec.PodCIDR)
			return WriteFile(confFile, []byte(text), 0o644)
		})
	})
}
