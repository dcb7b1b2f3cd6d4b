package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"slipway.test/standins/engine"
)

// The image that holds a pod together: one that the tests can build.
const pauseImage = "k8s.gcr.io/pause:3.2"

// clusterConfig is what the stand-in reads of a ClusterConfig.
type clusterConfig struct {
	address, externalAddress string
	sans                     []string
	peerAddress              string
	storage                  string
	podCIDR, serviceCIDR     string
	nodeLocal                bool
	all                      map[string]any
}

// What a ClusterConfig may say. `*`: anything below it. Source: k0s, pkg/apis/k0s/v1beta1.
var knownConfig = map[string]any{
	"apiVersion": nil, "kind": nil, "metadata": "*",
	"spec": map[string]any{
		"api":               map[string]any{"address": nil, "externalAddress": nil, "extraArgs": "*", "k0sApiPort": nil, "port": nil, "sans": nil, "onlyBindToAddress": nil, "tunneledNetworkingMode": nil},
		"controllerManager": "*", "scheduler": "*", "workerProfiles": nil, "telemetry": map[string]any{"enabled": nil}, "installConfig": "*",
		"images": "*", "extensions": "*", "konnectivity": "*", "featureGates": nil, "podSecurityPolicy": "*",
		"storage": map[string]any{"type": nil, "etcd": map[string]any{"peerAddress": nil, "extraArgs": "*", "externalCluster": "*"}, "kine": "*"},
		"network": map[string]any{
			"podCIDR": nil, "serviceCIDR": nil, "provider": nil, "calico": "*", "kuberouter": "*", "dualStack": "*", "kubeProxy": "*", "clusterDomain": nil,
			"controlPlaneLoadBalancing": "*", "nodeLocalLoadBalancing": map[string]any{"enabled": nil, "type": nil, "envoyProxy": "*", "traefik": "*"},
		},
	},
}

// readConfig reads a configuration; an empty name means the one at its place, if it is there.
func readConfig(file string) (*clusterConfig, error) {
	if file == "" {
		file = configFile
		if !engine.Exists(file) {
			return newConfig(map[string]any{})
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("failed to read configuration file: %w", err)
	}
	values, err := engine.ParseYAMLMap(string(text))
	if err != nil {
		return nil, fmt.Errorf("failed to parse configuration: %w", err)
	}
	if kind := values["kind"]; kind != "ClusterConfig" {
		return nil, fmt.Errorf("failed to parse configuration: kind is %v, not ClusterConfig", kind)
	}
	if api := values["apiVersion"]; api != "k0s.k0sproject.io/v1beta1" {
		return nil, fmt.Errorf("failed to parse configuration: apiVersion is %v", api)
	}
	if err := onlyKnown("", values, knownConfig); err != nil {
		return nil, fmt.Errorf("failed to parse configuration: %w", err)
	}
	return newConfig(values)
}

func newConfig(values map[string]any) (*clusterConfig, error) {
	address, err := firstPublicAddress()
	if err != nil {
		return nil, err
	}
	c := &clusterConfig{
		address:         textAt(values, address, "spec", "api", "address"),
		externalAddress: textAt(values, "", "spec", "api", "externalAddress"),
		peerAddress:     textAt(values, address, "spec", "storage", "etcd", "peerAddress"),
		storage:         textAt(values, "etcd", "spec", "storage", "type"),
		podCIDR:         textAt(values, "10.244.0.0/16", "spec", "network", "podCIDR"),
		serviceCIDR:     textAt(values, "10.96.0.0/12", "spec", "network", "serviceCIDR"),
		nodeLocal:       at(values, "spec", "network", "nodeLocalLoadBalancing", "enabled") == true,
		all:             values,
	}
	if list, ok := at(values, "spec", "api", "sans").([]any); ok {
		for _, one := range list {
			c.sans = append(c.sans, fmt.Sprint(one))
		}
	}
	return c, c.validate()
}

func (c *clusterConfig) validate() error {
	for name, address := range map[string]string{"spec.api.address": c.address, "spec.storage.etcd.peerAddress": c.peerAddress} {
		if net.ParseIP(address) == nil {
			return fmt.Errorf("%s: Invalid value: %q: invalid IP address", name, address)
		}
	}
	for _, san := range c.sans {
		if san == "" || strings.ContainsAny(san, " /:") && net.ParseIP(san) == nil {
			return fmt.Errorf("spec.api.sans: Invalid value: %q: invalid IP address / DNS name", san)
		}
	}
	if c.storage != "etcd" {
		return fmt.Errorf("spec.storage.type: %q: the stand-in has etcd alone", c.storage)
	}
	if at(c.all, "spec", "network", "nodeLocalLoadBalancing") != nil && !atLeast(1, 26, 0) {
		return fmt.Errorf(`unknown field "nodeLocalLoadBalancing"`)
	}
	if kind := textAt(c.all, "EnvoyProxy", "spec", "network", "nodeLocalLoadBalancing", "type"); kind != "EnvoyProxy" {
		return fmt.Errorf("spec.network.nodeLocalLoadBalancing.type: Unsupported value: %q", kind)
	}
	if c.nodeLocal && c.externalAddress != "" {
		return fmt.Errorf("network.nodeLocalLoadBalancing.enabled: Forbidden: node-local load balancing cannot be used in conjunction with an external Kubernetes API server address")
	}
	for _, cidr := range []string{c.podCIDR, c.serviceCIDR} {
		if _, _, err := net.ParseCIDR(cidr); err != nil {
			return err
		}
	}
	return nil
}

// joinURL is where a token leads.
func (c *clusterConfig) joinURL(port string) string {
	address := c.address
	if c.externalAddress != "" {
		address = c.externalAddress
	}
	return "https://" + net.JoinHostPort(address, port)
}

func (c *clusterConfig) clusterDNS() string { return addressIn(c.serviceCIDR, 10) }

// addressIn is the address of a network with this last number.
func addressIn(cidr string, number byte) string {
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil || ip.To4() == nil {
		return ""
	}
	ip = ip.To4()
	return net.IPv4(ip[0], ip[1], ip[2], ip[3]+number).String()
}

func configCreate(_ *engine.Settings, _ []string) error {
	addresses, err := allAddresses()
	if err != nil {
		return err
	}
	address, err := firstPublicAddress()
	if err != nil {
		return err
	}
	fmt.Printf(`apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
metadata:
  name: k0s
spec:
  api:
    address: %s
    k0sApiPort: 9443
    port: 6443
    sans:
`, address)
	for _, one := range addresses {
		fmt.Printf("    - %s\n", one)
	}
	fmt.Printf(`  controllerManager: {}
  extensions:
    helm:
      concurrencyLevel: 5
  installConfig:
    users:
      etcdUser: etcd
      kineUser: kube-apiserver
      konnectivityUser: konnectivity-server
      kubeAPIserverUser: kube-apiserver
      kubeSchedulerUser: kube-scheduler
  konnectivity:
    adminPort: 8133
    agentPort: 8132
  network:
    clusterDomain: cluster.local
    dualStack:
      enabled: false
    kubeProxy:
      mode: iptables
`)
	if atLeast(1, 26, 0) {
		fmt.Printf("    nodeLocalLoadBalancing:\n      enabled: false\n      type: EnvoyProxy\n")
	}
	fmt.Printf(`    podCIDR: 10.244.0.0/16
    provider: kuberouter
    serviceCIDR: 10.96.0.0/12
  scheduler: {}
  storage:
    etcd:
      peerAddress: %s
    type: etcd
  telemetry:
    enabled: true
`, address)
	return nil
}

func configValidate(settings *engine.Settings, _ []string) error {
	file := settings.Text("config", "")
	if file == "" {
		return fmt.Errorf("--config can't be empty")
	}
	_, err := readConfig(file)
	return err
}

func onlyKnown(path string, values map[string]any, known map[string]any) error {
	for key, value := range values {
		below, ok := known[key]
		if !ok {
			return fmt.Errorf("unknown field %q", strings.TrimPrefix(path+"."+key, "."))
		}
		inner, isMap := below.(map[string]any)
		if !isMap || value == nil {
			continue
		}
		mapping, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s.%s must be a mapping", path, key)
		}
		if err := onlyKnown(path+"."+key, mapping, inner); err != nil {
			return err
		}
	}
	return nil
}

func at(value any, path ...string) any {
	for _, key := range path {
		mapping, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = mapping[key]
	}
	return value
}

func textAt(values map[string]any, otherwise string, path ...string) string {
	if value := at(values, path...); value != nil && fmt.Sprint(value) != "" {
		return fmt.Sprint(value)
	}
	return otherwise
}

func allAddresses() ([]string, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, one := range found {
		if network, ok := one.(*net.IPNet); ok && !network.IP.IsLoopback() {
			addresses = append(addresses, network.IP.String())
		}
	}
	return addresses, nil
}

func firstPublicAddress() (string, error) {
	addresses, err := allAddresses()
	if err != nil {
		return "", err
	}
	for _, one := range addresses {
		if ip := net.ParseIP(one); ip.To4() != nil {
			return one, nil
		}
	}
	return "127.0.0.1", nil
}
