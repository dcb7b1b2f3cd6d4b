package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

const (
	bridge      = "kube-bridge"
	kubeletRoot = dataDir + "/kubelet"
	clientCert  = kubeletRoot + "/pki/kubelet-client-current.pem"
	knownFile   = dataDir + "/worker-profile.json"
	nodeLocal   = "127.0.0.1:7443"
)

// workerProfile is what workers must know of the cluster, and what they keep of it.
type workerProfile struct {
	NodeLocal           bool
	ClusterDNS, PodCIDR string
	APIServers          []string
}

func profileName() string {
	text, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "+")
	numbers := strings.SplitN(text, ".", 3)
	return "worker-config-default-" + numbers[0] + "." + numbers[1]
}

func nodeName() (string, error) {
	name, err := os.Hostname()
	return strings.ToLower(name), err
}

func worker(settings *engine.Settings, _ []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	name, err := nodeName()
	if err != nil {
		return err
	}
	if err := prepareDirectories(); err != nil {
		return err
	}
	engine.Logf("level=info msg=\"Starting k0s %s worker (%s)\"", version, standIn)
	token := settings.Text("token-file", "")
	// v1.35.1 reads it each time (k0s issue 7202); the stand-in always, so that nothing but a token is ever left there.
	var found *joinToken
	if token != "" {
		if found, err = readToken(token, tokenUsers["worker"]); err != nil {
			return err
		}
	}
	family := engine.NewFamily()
	if err := func() error {
		if !engine.Exists(kubeletCfg) {
			if found == nil {
				return fmt.Errorf("neither regular nor bootstrap kubelet kubeconfig files exist and no join token given; dunno how to make kubelet authenticate to API server")
			}
			if err := bootstrap(family.Context(), found, name); err != nil {
				return err
			}
		}
		if err := startNode(family, settings, name, nil, nil); err != nil {
			return err
		}
		return serveStatus(family, "worker", true, nil)
	}(); err != nil {
		family.Fail(err)
	}
	return family.Wait()
}

// bootstrap gets the node its certificate with a join token.
func bootstrap(ctx context.Context, token *joinToken, name string) error {
	if err := engine.WriteFile(pkiDir+"/ca.crt", token.ca, 0o644); err != nil {
		return err
	}
	var err error
	for tries := 1; tries <= 5; tries++ {
		if err = requestCertificate(ctx, token, name); err == nil {
			return engine.WriteFile(kubeletCfg, []byte(nodeKubeconfig(token.server)), 0o600)
		}
		engine.Logf("level=info msg=\"bootstrapping kubelet: %v\"", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("failed to bootstrap kubelet client configuration: %w", err)
}

func requestCertificate(ctx context.Context, token *joinToken, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:node:" + name, Organization: []string{"system:nodes"}},
	}, key)
	if err != nil {
		return err
	}
	const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	object := "k0s-" + name + "-" + engine.RandomHex(4)
	client := httpsClient(token.ca)
	body, err := json.Marshal(map[string]any{
		"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": map[string]any{"name": object},
		"spec": map[string]any{
			"request":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
			"signerName": "kubernetes.io/kube-apiserver-client-kubelet", "usages": []string{"digital signature", "key encipherment", "client auth"},
		},
	})
	if err != nil {
		return err
	}
	if _, err := ask(ctx, client, "POST", token.server+path, token.secret, body); err != nil {
		return fmt.Errorf("cannot create certificate signing request: %w", err)
	}
	end := time.Now().Add(time.Minute)
	for {
		text, err := ask(ctx, client, "GET", token.server+path+"/"+object, token.secret, nil)
		if err != nil {
			return err
		}
		var found struct{ Status struct{ Certificate []byte } }
		if err := json.Unmarshal(text, &found); err != nil {
			return err
		}
		if len(found.Status.Certificate) > 0 {
			der, err := x509.MarshalECPrivateKey(key)
			if err != nil {
				return err
			}
			both := append(found.Status.Certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
			// kubelet renews it: the name is that of a link to the one in use
			first := kubeletRoot + "/pki/kubelet-client-first.pem"
			if err := engine.WriteFile(first, both, 0o600); err != nil {
				return err
			}
			_ = os.Remove(clientCert)
			return os.Symlink(first, clientCert)
		}
		if time.Now().After(end) {
			return fmt.Errorf("nobody signed the certificate")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, client *http.Client, method, url, token string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		return nil, fmt.Errorf("%s", http.StatusText(answer.StatusCode))
	}
	return text, err
}

func nodeKubeconfig(server string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: default-cluster
  cluster:
    certificate-authority: %s
    server: %s
contexts:
- name: default-context
  context:
    cluster: default-cluster
    user: default-auth
current-context: default-context
users:
- name: default-auth
  user:
    client-certificate: %s
    client-key: %s
`, pkiDir+"/ca.crt", server, clientCert, clientCert)
}

// startNode starts what every node has: containerd with the images that lie ready, the balancer, kubelet and kube-proxy, the network.
func startNode(family *engine.Family, settings *engine.Settings, name string, labels, taints []string) error {
	address, extra, err := kubeletArguments(settings.Text("kubelet-extra-args", ""))
	if err != nil {
		return err
	}
	profile, server, err := readProfile(family)
	if err != nil {
		return err
	}
	kubeconfig := kubeletCfg
	if profile.NodeLocal {
		if err := startNodeLocal(family, profile); err != nil {
			return err
		}
		server = "https://" + nodeLocal
		kubeconfig = runDir + "/nllb/kubeconfig.yaml"
		if err := engine.WriteFile(kubeconfig, []byte(nodeKubeconfig(server)), 0o600); err != nil {
			return err
		}
	}
	config, err := writeContainerdConfig()
	if err != nil {
		return err
	}
	containerd := engine.Containerd{Bin: binDir, Root: dataDir + "/containerd", State: runDir + "/containerd", Socket: socket, ConfigFile: config}
	if err := containerd.Start(family); err != nil {
		return err
	}
	if err := importBundles(family.Context(), &containerd); err != nil {
		return err
	}
	if err := networkPlugins(); err != nil {
		return err
	}
	kubelet := engine.Kubelet{
		Bin: binDir, NodeName: name, NodeIP: address, Kubeconfig: kubeconfig, ClientCA: pkiDir + "/ca.crt", Socket: socket, RootDir: kubeletRoot,
		Labels: append(labels, settings.List("labels")...), Taints: append(taints, settings.List("taints")...),
		ClusterDNS: profile.ClusterDNS, ClusterDomain: "cluster.local", ClusterCIDR: profile.PodCIDR, ProxyKubeconfig: kubeconfig,
		ExtraKubelet: extra, ConfigFile: dataDir + "/kubelet-config.yaml", CertDir: kubeletRoot + "/pki",
	}
	if err := kubelet.Start(family); err != nil {
		return err
	}
	api := &engine.API{URL: server, CAFile: pkiDir + "/ca.crt", CertFile: clientCert, KeyFile: clientCert}
	engine.BridgeNetwork(family, api, name, "/etc/cni/net.d/10-kuberouter.conflist", bridge)
	return nil
}

func kubeletArguments(text string) (address string, extra []string, err error) {
	if address, err = firstPublicAddress(); err != nil {
		return "", nil, err
	}
	for _, word := range strings.Fields(text) {
		if value := strings.TrimPrefix(word, "--node-ip="); value != word {
			address = value
		} else {
			extra = append(extra, word)
		}
	}
	if net.ParseIP(address) == nil {
		return "", nil, fmt.Errorf("--node-ip=%s is not an address", address)
	}
	return address, extra, nil
}

// readProfile asks the API server that kubelet knows, or those that were known when this last ran.
func readProfile(family *engine.Family) (*workerProfile, string, error) {
	text, err := os.ReadFile(kubeletCfg)
	if err != nil {
		return nil, "", err
	}
	values, err := engine.ParseYAMLMap(string(text))
	if err != nil {
		return nil, "", err
	}
	first := ""
	if clusters, ok := values["clusters"].([]any); ok && len(clusters) > 0 {
		first = fmt.Sprint(at(clusters[0], "cluster", "server"))
	}
	servers := []string{first}
	var known workerProfile
	if text, err := os.ReadFile(knownFile); err == nil && json.Unmarshal(text, &known) == nil {
		for _, one := range known.APIServers {
			servers = append(servers, "https://"+one)
		}
	}
	var profile workerProfile
	server := ""
	err = family.WaitUntil("the worker's configuration", 10*time.Minute, func(ctx context.Context) error {
		var last error
		for _, one := range servers {
			api := &engine.API{URL: one, CAFile: pkiDir + "/ca.crt", CertFile: clientCert, KeyFile: clientCert}
			text, err := api.Get(ctx, "/api/v1/namespaces/kube-system/configmaps/"+profileName())
			if err != nil {
				last = err
				continue
			}
			var found struct{ Data map[string]string }
			if err := json.Unmarshal(text, &found); err != nil {
				return err
			}
			server = one
			return json.Unmarshal([]byte(found.Data["profile"]), &profile)
		}
		return last
	})
	profile.APIServers = known.APIServers
	if len(profile.APIServers) == 0 {
		profile.APIServers = []string{strings.TrimPrefix(server, "https://")}
	}
	return &profile, server, err
}

// startNodeLocal leads a port of this host to whichever API server answers, and keeps in mind which there are.
func startNodeLocal(family *engine.Family, profile *workerProfile) error {
	balancer, err := engine.StartBalancer(family, nodeLocal, profile.APIServers)
	if err != nil {
		return err
	}
	api := &engine.API{URL: "https://" + nodeLocal, CAFile: pkiDir + "/ca.crt", CertFile: clientCert, KeyFile: clientCert}
	family.Every(2*time.Second, "the node-local balancer", func(ctx context.Context) error {
		text, err := api.Get(ctx, "/api/v1/namespaces/default/endpoints/kubernetes")
		if err != nil {
			return err
		}
		var endpoints struct {
			Subsets []struct{ Addresses []struct{ IP string } }
		}
		if err := json.Unmarshal(text, &endpoints); err != nil {
			return err
		}
		var servers []string
		for _, subset := range endpoints.Subsets {
			for _, one := range subset.Addresses {
				servers = append(servers, net.JoinHostPort(one.IP, "6443"))
			}
		}
		if len(servers) == 0 {
			return fmt.Errorf("no API servers are known")
		}
		if strings.Join(servers, " ") != strings.Join(balancer.Servers(), " ") {
			engine.Logf("level=info msg=\"node-local balancer: %s\"", strings.Join(servers, " "))
			balancer.Set(servers)
		}
		kept := *profile
		kept.APIServers = servers
		content, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		return engine.WriteFile(knownFile, content, 0o600)
	})
	return nil
}

// importBundles loads what lies in k0s' directory of images, whatever the files are called.
func importBundles(ctx context.Context, containerd *engine.Containerd) error {
	files, err := os.ReadDir(imagesDir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(imagesDir, file.Name())
		engine.Logf("level=info msg=\"importing images of %s\"", path)
		if _, err := containerd.Ctr(ctx, "images", "import", path); err != nil {
			return err
		}
	}
	return nil
}

// networkPlugins puts them where k0s' own image for it does.
func networkPlugins() error {
	if err := os.MkdirAll("/opt/cni/bin", 0o755); err != nil {
		return err
	}
	for _, name := range []string{"bridge", "host-local", "loopback", "portmap"} {
		content, err := os.ReadFile(filepath.Join(binDir, name))
		if err != nil {
			return err
		}
		if err := engine.WriteFile("/opt/cni/bin/"+name, content, 0o755); err != nil {
			return err
		}
	}
	return nil
}
