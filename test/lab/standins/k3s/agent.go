package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

const balancerFile = agentDir + "/etc/k3s-agent-load-balancer.json"

// balancerState is what an agent keeps of the servers. Source: k3s, pkg/agent/loadbalancer.
type balancerState struct {
	ServerURL       string
	ServerAddresses []string
}

func agent(args []string) error {
	settings, err := readSettings(args, nodeSettings)
	if err != nil {
		return err
	}
	join, err := readToken(settings)
	if err != nil {
		return err
	}
	if join.password == "" {
		return fmt.Errorf("--token is required")
	}
	server := settings.Text("server", "")
	if server == "" {
		return fmt.Errorf("--server is required")
	}
	name, address, err := nodeOf(settings)
	if err != nil {
		return err
	}
	engine.Logf("level=info msg=\"Starting k3s agent %s (%s)\"", version, standIn)
	modprobe()
	bin, err := unpack(dataDir)
	if err != nil {
		return err
	}
	family := engine.NewFamily()
	if err := startAgent(family, settings, server, join, node{bin: bin, name: name, address: address}); err != nil {
		family.Fail(err)
	}
	return family.Wait()
}

func startAgent(family *engine.Family, settings *engine.Settings, server string, join token, self node) error {
	parsed, err := url.Parse(server)
	if err != nil || parsed.Scheme != "https" || parsed.Port() == "" {
		return fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", server)
	}
	servers := []string{parsed.Host}
	var kept balancerState
	if text, err := os.ReadFile(balancerFile); err == nil && json.Unmarshal(text, &kept) == nil && kept.ServerURL == server {
		servers = append(kept.ServerAddresses, servers...)
	}
	balancer, err := engine.StartBalancer(family, "127.0.0.1:6444", servers)
	if err != nil {
		return err
	}
	var client *engine.JoinClient
	var got admitted
	// k3s tries on and on, and says each time what is wrong.
	last := ""
	if err := family.WaitUntil("the server", 24*time.Hour, func(context.Context) error {
		err := func() (err error) {
			if client, err = engine.NewJoinClient("https://127.0.0.1:6444", "/cacerts", join.caHash); err != nil {
				return err
			}
			client.User, client.Password = join.user, join.password
			_, err = client.Post("/v1-k3s/node", admission{self.name, nodePassword(), self.address}, &got)
			return err
		}()
		if err != nil && err.Error() != last {
			last = err.Error()
			engine.Logf("level=error msg=%q", err)
		}
		if err != nil {
			time.Sleep(time.Second)
		}
		return err
	}); err != nil {
		return err
	}
	if err := writeAgentFiles(got.Files, "https://127.0.0.1:6444"); err != nil {
		return err
	}
	family.Every(2*time.Second, "the servers", func(context.Context) error {
		var now []string
		if _, err := client.Get("/v1-k3s/apiservers", &now); err != nil || len(now) == 0 {
			return err
		}
		sort.Strings(now)
		if strings.Join(now, " ") == strings.Join(balancer.Servers(), " ") && engine.Exists(balancerFile) {
			return nil
		}
		engine.Logf("level=info msg=\"Updated load balancer server addresses: %s\"", strings.Join(now, " "))
		balancer.Set(now)
		text, err := json.Marshal(balancerState{server, now})
		if err != nil {
			return err
		}
		return engine.WriteFile(balancerFile, text, 0o600)
	})
	if got.KubeProxy {
		self.proxy = agentDir + "/kubeproxy.kubeconfig"
	}
	self.clusterCIDR, self.clusterDNS, self.clusterDomain = got.ClusterCIDR, got.ClusterDNS, got.ClusterDomain
	self.api = &engine.API{
		URL: "https://127.0.0.1:6444", CAFile: agentDir + "/server-ca.crt",
		CertFile: agentDir + "/client-k3s-controller.crt", KeyFile: agentDir + "/client-k3s-controller.key",
	}
	if err := startNode(family, settings, self); err != nil {
		return err
	}
	engine.Logf("level=info msg=\"k3s agent is up and running\"")
	return engine.NotifyReady()
}

// nodePassword is this host's own, made when it is not there.
func nodePassword() string {
	if text, err := os.ReadFile(passwordFile); err == nil {
		return strings.TrimSpace(string(text))
	}
	password := engine.RandomHex(16)
	if err := engine.WriteFile(passwordFile, []byte(password+"\n"), 0o600); err != nil {
		panic(err)
	}
	return password
}

func writeAgentFiles(files map[string][]byte, server string) error {
	for name, content := range files {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o600
		}
		if err := engine.WriteFile(filepath.Join(agentDir, name), content, mode); err != nil {
			return err
		}
	}
	for name, cert := range map[string]string{"kubelet": "client-kubelet", "kubeproxy": "client-kube-proxy", "k3scontroller": "client-k3s-controller"} {
		if err := engine.WriteKubeconfig(filepath.Join(agentDir, name+".kubeconfig"), engine.Kubeconfig{
			Server: server, CAFile: agentDir + "/server-ca.crt", CertFile: filepath.Join(agentDir, cert+".crt"), KeyFile: filepath.Join(agentDir, cert+".key"), Name: "local",
		}); err != nil {
			return err
		}
	}
	return nil
}

// node is what the part of k3s needs that every host has.
type node struct {
	bin, name, address                     string
	labels                                 []string
	proxy                                  string
	clusterCIDR, clusterDNS, clusterDomain string
	api                                    *engine.API
}

func startNode(family *engine.Family, settings *engine.Settings, self node) error {
	containerd := engine.Containerd{
		Bin: self.bin, Root: agentDir + "/containerd", State: "/run/k3s/containerd", Socket: containerdSocket,
		ConfigFile: agentDir + "/etc/containerd/config.toml",
	}
	if err := writeContainerdConfig(settings, self); err != nil {
		return err
	}
	if err := containerd.Start(family); err != nil {
		return err
	}
	if err := containerd.ImportImages(family.Context(), agentDir+"/images"); err != nil {
		return err
	}
	kubelet := engine.Kubelet{
		Bin: self.bin, NodeName: self.name, NodeIP: self.address, Kubeconfig: agentDir + "/kubelet.kubeconfig",
		ClientCA: agentDir + "/client-ca.crt", ServingCert: agentDir + "/serving-kubelet.crt", ServingKey: agentDir + "/serving-kubelet.key",
		Socket: containerdSocket, RootDir: "/var/lib/kubelet", Labels: append(self.labels, settings.List("node-label")...), Taints: settings.List("node-taint"),
		ClusterDNS: self.clusterDNS, ClusterDomain: self.clusterDomain, ClusterCIDR: self.clusterCIDR, ProxyKubeconfig: self.proxy,
		ExtraKubelet: arguments(settings.List("kubelet-arg")), ExtraProxy: arguments(settings.List("kube-proxy-arg")),
		ConfigFile: agentDir + "/etc/kubelet.json",
	}
	if err := kubelet.Start(family); err != nil {
		return err
	}
	engine.BridgeNetwork(family, self.api, self.name, agentDir+"/etc/cni/net.d/10-flannel.conflist", "cni0")
	return nil
}
