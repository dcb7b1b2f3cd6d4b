package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

// What a joining controller is given of the cluster's authorities. Source: k0s, pkg/apis/k0s/v1beta1/api types (CaResponse).
var sharedFiles = map[string]string{"key": "ca.key", "cert": "ca.crt", "saKey": "sa.key"}

type controllerState struct {
	settings *engine.Settings
	config   *clusterConfig
	family   *engine.Family
	name     string
	ca       *engine.Authority
	etcdCA   *engine.Authority
	proxyCA  *engine.Authority
	etcd     *engine.Etcd
	api      *engine.API
}

func controller(settings *engine.Settings, _ []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	config, err := readConfig(settings.Text("config", ""))
	if err != nil {
		return fmt.Errorf("failed to load node config: %w", err)
	}
	name, err := nodeName()
	if err != nil {
		return err
	}
	if err := prepareDirectories(); err != nil {
		return err
	}
	engine.Logf("level=info msg=\"Starting k0s %s controller (%s)\"", version, standIn)
	c := &controllerState{settings: settings, config: config, name: name, family: engine.NewFamily(), api: adminAPI()}
	if err := c.start(); err != nil {
		c.family.Fail(err)
	}
	return c.family.Wait()
}

func prepareDirectories() error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{dataDir, 0o755}, {pkiDir, 0o751}, {runDir, 0o755}} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return err
		}
	}
	return unpack()
}

func (c *controllerState) start() error {
	var join *joinClient
	token := c.settings.Text("token-file", "")
	// A member that has data has joined: what the file holds by now does not matter.
	if token != "" && !engine.Exists(etcdDir+"/member/snap/db") {
		found, err := readToken(token, tokenUsers["controller"])
		if err != nil {
			return fmt.Errorf("failed to join controller: %w", err)
		}
		if join, err = c.join(found); err != nil {
			return fmt.Errorf("failed to join controller: failed to join existing cluster via %s: %w", found.server, err)
		}
	}
	if err := c.certificates(); err != nil {
		return err
	}
	if err := c.startEtcd(join); err != nil {
		return err
	}
	if err := serveStatus(c.family, "controller", c.settings.Flag("enable-worker"), c.config.all); err != nil {
		return err
	}
	if err := c.controlPlane(); err != nil {
		return err
	}
	if err := c.objects(); err != nil {
		return err
	}
	if err := c.controlAPI(); err != nil {
		return err
	}
	if !c.settings.Flag("enable-worker") {
		return nil
	}
	if !engine.Exists(kubeletCfg) {
		secret, err := newSecret(c.family.Context(), "worker", 5*time.Minute)
		if err != nil {
			return err
		}
		ca, err := os.ReadFile(pkiDir + "/ca.crt")
		if err != nil {
			return err
		}
		if err := bootstrap(c.family.Context(), &joinToken{secret: secret, server: "https://127.0.0.1:6443", ca: ca}, c.name); err != nil {
			return err
		}
	}
	labels := []string{"node.k0sproject.io/role=control-plane"}
	var taints []string
	if !c.settings.Flag("no-taints") {
		taints = []string{"node-role.kubernetes.io/master=:NoSchedule"}
	}
	if err := startNode(c.family, c.settings, c.name, labels, taints); err != nil {
		return err
	}
	c.family.Every(5*time.Second, "the role of the node", func(ctx context.Context) error {
		return c.api.Patch(ctx, "/api/v1/nodes/"+c.name, map[string]any{
			"metadata": map[string]any{"labels": map[string]string{"node-role.kubernetes.io/control-plane": "true"}},
		})
	})
	return nil
}

// joinClient asks the control API of a controller that is there.
type joinClient struct {
	token *joinToken
	http  *http.Client
}

func (j *joinClient) do(method, path string, into any) error {
	request, err := http.NewRequest(method, j.token.server+path, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+j.token.secret)
	answer, err := j.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		// as client-go says it
		return fmt.Errorf("the server has asked for the client to provide credentials")
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func httpsClient(ca []byte) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// join fetches the authorities of the cluster.
func (c *controllerState) join(token *joinToken) (*joinClient, error) {
	client := &joinClient{token, httpsClient(token.ca)}
	engine.Logf("level=info msg=\"Joining existing cluster via %s\"", token.server)
	var files map[string]string
	var err error
	for tries := 1; tries <= 5; tries++ {
		if err = client.do("GET", "/v1beta1/ca", &files); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		return nil, err
	}
	for key, name := range sharedFiles {
		content, err := base64.StdEncoding.DecodeString(files[key])
		if err != nil || len(content) == 0 {
			return nil, fmt.Errorf("the answer has no %s", key)
		}
		mode := os.FileMode(0o640)
		if strings.HasSuffix(name, ".crt") {
			mode = 0o644
		}
		if err := engine.WriteFile(filepath.Join(pkiDir, name), content, mode); err != nil {
			return nil, err
		}
	}
	engine.Logf("level=info msg=\"Got valid CA response, storing certificates\"")
	return client, nil
}

func (c *controllerState) certificates() (err error) {
	if c.ca, err = engine.EnsureAuthority(pkiDir+"/ca.crt", pkiDir+"/ca.key", "kubernetes-ca"); err != nil {
		return err
	}
	if c.proxyCA, err = engine.EnsureAuthority(pkiDir+"/front-proxy-ca.crt", pkiDir+"/front-proxy-ca.key", "kubernetes-front-proxy-ca"); err != nil {
		return err
	}
	if err := engine.EnsureServiceKey(pkiDir + "/sa.key"); err != nil {
		return err
	}
	local, err := allAddresses()
	if err != nil {
		return err
	}
	addresses := append([]string{"127.0.0.1", c.config.address, addressIn(c.config.serviceCIDR, 1)}, local...)
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", c.name}
	for _, san := range append(c.config.sans, c.config.externalAddress) {
		host, _, err := net.SplitHostPort(san)
		if err != nil {
			host = san
		}
		if net.ParseIP(host) != nil {
			addresses = append(addresses, host)
		} else if host != "" {
			names = append(names, host)
		}
	}
	for _, one := range []struct {
		authority *engine.Authority
		file      string
		leaf      engine.Leaf
	}{
		{c.ca, "server", engine.Leaf{CN: "kubernetes", Orgs: []string{"kubernetes"}, DNS: names, IPs: addresses, Server: true}},
		{c.ca, "k0s-api", engine.Leaf{CN: "k0s-api", DNS: names, IPs: addresses, Server: true}},
		{c.ca, "admin", engine.Leaf{CN: "kubernetes-admin", Orgs: []string{"system:masters"}, Client: true}},
		{c.ca, "ccm", engine.Leaf{CN: "system:kube-controller-manager", Client: true}},
		{c.ca, "scheduler", engine.Leaf{CN: "system:kube-scheduler", Client: true}},
		{c.ca, "apiserver-kubelet-client", engine.Leaf{CN: "apiserver-kubelet-client", Orgs: []string{"system:masters"}, Client: true}},
		{c.proxyCA, "front-proxy-client", engine.Leaf{CN: "system:auth-proxy", Client: true}},
	} {
		base := filepath.Join(pkiDir, one.file)
		if err := one.authority.Renew(base+".crt", base+".key", one.leaf); err != nil {
			return err
		}
	}
	return nil
}

// startEtcd begins, joins, or goes on with the member of this host.
func (c *controllerState) startEtcd(join *joinClient) error {
	dir := pkiDir + "/etcd"
	c.etcd = etcdMember(c.name, c.config.peerAddress)
	var answer struct {
		CA, Key []byte
		Members []engine.Member
	}
	if join != nil {
		if err := join.do("POST", "/v1beta1/etcd/members", &answer); err != nil {
			return fmt.Errorf("failed to sync etcd config: %w", err)
		}
		if err := engine.WriteFile(dir+"/ca.key", answer.Key, 0o640); err != nil {
			return err
		}
		if err := engine.WriteFile(dir+"/ca.crt", answer.CA, 0o644); err != nil {
			return err
		}
	}
	var err error
	if c.etcdCA, err = engine.EnsureAuthority(dir+"/ca.crt", dir+"/ca.key", "etcd-ca"); err != nil {
		return err
	}
	hosts := engine.Leaf{CN: c.name, DNS: []string{"localhost", c.name}, IPs: []string{"127.0.0.1", c.config.peerAddress}, Server: true, Client: true}
	for _, base := range []string{dir + "/server", dir + "/peer"} {
		if err := c.etcdCA.Renew(base+".crt", base+".key", hosts); err != nil {
			return err
		}
	}
	client := pkiDir + "/apiserver-etcd-client"
	if err := c.etcdCA.Renew(client+".crt", client+".key", engine.Leaf{CN: "apiserver-etcd-client", Client: true}); err != nil {
		return err
	}
	if c.etcd.Begun() || join == nil {
		return c.etcd.Start(c.family)
	}
	for _, member := range answer.Members {
		if len(member.ClientURLs) > 0 && member.AddressOf() != c.config.peerAddress {
			return c.etcd.Join(c.family, member.ClientURLs[0])
		}
	}
	return fmt.Errorf("failed to sync etcd config: the cluster has no member to ask")
}

func etcdMember(name, address string) *engine.Etcd {
	dir := pkiDir + "/etcd"
	return &engine.Etcd{
		Bin: binDir, DataDir: etcdDir, Name: name, Address: address,
		ServerCA: dir + "/ca.crt", ServerCert: dir + "/server.crt", ServerKey: dir + "/server.key",
		PeerCA: dir + "/ca.crt", PeerCert: dir + "/peer.crt", PeerKey: dir + "/peer.key",
		ClientCert: pkiDir + "/apiserver-etcd-client.crt", ClientKey: pkiDir + "/apiserver-etcd-client.key",
	}
}

func (c *controllerState) controlPlane() error {
	for name, cert := range map[string]string{"admin": "admin", "ccm": "ccm", "scheduler": "scheduler"} {
		if err := engine.WriteKubeconfig(filepath.Join(pkiDir, name+".conf"), engine.Kubeconfig{
			Server: "https://localhost:6443", CAFile: pkiDir + "/ca.crt", CertFile: filepath.Join(pkiDir, cert+".crt"), KeyFile: filepath.Join(pkiDir, cert+".key"),
			Name: "Default", Embed: true,
		}); err != nil {
			return err
		}
	}
	var extra []string
	if arguments, ok := at(c.config.all, "spec", "api", "extraArgs").(map[string]any); ok {
		for name, value := range arguments {
			extra = append(extra, fmt.Sprintf("--%s=%v", name, value))
		}
	}
	plane := engine.ControlPlane{
		Bin: binDir, BindAddress: "0.0.0.0", AdvertiseAddress: c.config.address, Port: "6443",
		EtcdServers: c.etcd.LocalURL(), EtcdCA: c.etcd.ServerCA, EtcdCert: c.etcd.ClientCert, EtcdKey: c.etcd.ClientKey,
		ServerCert: pkiDir + "/server.crt", ServerKey: pkiDir + "/server.key", ClientCA: pkiDir + "/ca.crt", ServerCA: pkiDir + "/ca.crt",
		SigningCert: pkiDir + "/ca.crt", SigningKey: pkiDir + "/ca.key",
		KubeletClientCert: pkiDir + "/apiserver-kubelet-client.crt", KubeletClientKey: pkiDir + "/apiserver-kubelet-client.key",
		RequestHeaderCA: pkiDir + "/front-proxy-ca.crt", ProxyClientCert: pkiDir + "/front-proxy-client.crt", ProxyClientKey: pkiDir + "/front-proxy-client.key",
		ServiceKey: pkiDir + "/sa.key", ControllerKubeconfig: pkiDir + "/ccm.conf", SchedulerKubeconfig: pkiDir + "/scheduler.conf",
		ClusterCIDR: c.config.podCIDR, ServiceCIDR: c.config.serviceCIDR, BootstrapTokens: true,
		// kubelet's own serving certificate is signed by itself here.
		ExtraAPIServer: append([]string{"--kubelet-certificate-authority="}, extra...),
	}
	return plane.Start(c.family, c.api)
}

// objects makes what k0s keeps in the cluster: rights of nodes, what workers must know, an object for each controller.
func (c *controllerState) objects() error {
	return c.family.WaitUntil("the objects of k0s", 2*time.Minute, func(ctx context.Context) error {
		for _, object := range c.wantedObjects() {
			if err := put(ctx, c.api, object); err != nil {
				return err
			}
		}
		return nil
	})
}

type object struct {
	path string
	body map[string]any
}

// put creates an object, or merges into the one that is there.
func put(ctx context.Context, api *engine.API, o object) error {
	err := api.Create(ctx, o.path, o.body)
	if status, ok := err.(*engine.StatusError); ok && status.Code == http.StatusConflict {
		return api.Patch(ctx, o.path+"/"+fmt.Sprint(at(o.body, "metadata", "name")), o.body)
	}
	return err
}

func (c *controllerState) wantedObjects() []object {
	const rbac = "/apis/rbac.authorization.k8s.io/v1"
	bind := func(name, role, group string) object {
		return object{rbac + "/clusterrolebindings", map[string]any{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}},
		}}
	}
	profile, _ := json.Marshal(workerProfile{NodeLocal: c.config.nodeLocal, ClusterDNS: c.config.clusterDNS(), PodCIDR: c.config.podCIDR})
	objects := []object{
		bind("kubelet-bootstrap", "system:node-bootstrapper", "system:bootstrappers"),
		bind("node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", "system:bootstrappers"),
		bind("node-autoapprove-certificate-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "system:nodes"),
		bind("system:nodes:node-proxier", "system:node-proxier", "system:nodes"),
		{rbac + "/clusterroles", map[string]any{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": map[string]any{"name": "system:nodes:k0s-worker"},
			"rules": []any{
				map[string]any{"apiGroups": []any{""}, "resources": []any{"configmaps"}, "resourceNames": []any{profileName()}, "verbs": []any{"get"}},
				map[string]any{"apiGroups": []any{""}, "resources": []any{"endpoints"}, "resourceNames": []any{"kubernetes"}, "verbs": []any{"get"}},
			},
		}},
		bind("system:nodes:k0s-worker", "system:nodes:k0s-worker", "system:nodes"),
		{"/api/v1/namespaces/kube-system/configmaps", map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": profileName()}, "data": map[string]any{"profile": string(profile)},
		}},
	}
	own := func(group, kind, plural string) []object {
		return []object{
			{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", map[string]any{
				"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": plural + "." + group},
				"spec": map[string]any{
					"group": group, "scope": "Cluster", "names": map[string]any{"kind": kind, "plural": plural, "singular": strings.ToLower(kind), "listKind": kind + "List"},
					"versions": []any{map[string]any{"name": "v1beta2", "served": true, "storage": true, "schema": map[string]any{
						"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
				},
			}},
			{"/apis/" + group + "/v1beta2/" + plural, map[string]any{
				"apiVersion": group + "/v1beta2", "kind": kind, "metadata": map[string]any{"name": c.name},
			}},
		}
	}
	if atLeast(1, 24, 0) {
		objects = append(objects, own("autopilot.k0sproject.io", "ControlNode", "controlnodes")...)
	}
	if atLeast(1, 30, 0) {
		objects = append(objects, own("etcd.k0sproject.io", "EtcdMember", "etcdmembers")...)
	}
	return objects
}

// controlAPI lets other controllers join: port 9443.
func (c *controllerState) controlAPI() error {
	pair, err := tls.LoadX509KeyPair(pkiDir+"/k0s-api.crt", pkiDir+"/k0s-api.key")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1beta1/ca", func(answer http.ResponseWriter, _ *http.Request) {
		files := map[string]string{}
		for key, name := range sharedFiles {
			text, err := os.ReadFile(filepath.Join(pkiDir, name))
			if err != nil {
				http.Error(answer, err.Error(), http.StatusInternalServerError)
				return
			}
			files[key] = base64.StdEncoding.EncodeToString(text)
		}
		_ = json.NewEncoder(answer).Encode(files)
	})
	mux.HandleFunc("/v1beta1/etcd/members", func(answer http.ResponseWriter, request *http.Request) {
		members, err := c.etcd.Members(request.Context(), c.etcd.LocalURL())
		if err != nil {
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		ca, err := os.ReadFile(c.etcdCA.CertFile)
		key, keyErr := os.ReadFile(c.etcdCA.KeyFile)
		if err != nil || keyErr != nil {
			http.Error(answer, "no authority", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(answer).Encode(map[string]any{"CA": ca, "Key": key, "Members": members})
	})
	return engine.Serve(c.family, "the control API", ":9443", &tls.Config{Certificates: []tls.Certificate{pair}},
		http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
			token := strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
			if !validControllerToken(request.Context(), c.api, token) {
				http.Error(answer, "go away", http.StatusUnauthorized)
				return
			}
			mux.ServeHTTP(answer, request)
		}))
}

func etcdOfThisHost() (*engine.Etcd, *clusterConfig, error) {
	config, err := readConfig("")
	if err != nil {
		return nil, nil, err
	}
	if !engine.Exists(etcdDir + "/member") {
		return nil, nil, fmt.Errorf("can't connect to the etcd: there is none on this host")
	}
	return etcdMember("", config.peerAddress), config, nil
}

func etcdMemberList(_ *engine.Settings, _ []string) error {
	etcd, _, err := etcdOfThisHost()
	if err != nil {
		return err
	}
	found, err := etcd.Members(context.Background(), etcd.LocalURL())
	if err != nil {
		return fmt.Errorf("can't list etcd cluster members: %w", err)
	}
	members := map[string]string{}
	for _, member := range found {
		members[member.Name] = member.PeerURLs[0]
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"members": members})
}

func etcdLeave(settings *engine.Settings, _ []string) error {
	etcd, config, err := etcdOfThisHost()
	if err != nil {
		return err
	}
	address := settings.Text("peer-address", config.peerAddress)
	found, err := etcd.Members(context.Background(), etcd.LocalURL())
	if err != nil {
		return err
	}
	for _, member := range found {
		if member.AddressOf() == address {
			if err := etcd.Remove(context.Background(), etcd.LocalURL(), member.ID); err != nil {
				return err
			}
			engine.Logf("level=info msg=\"Successfully deleted\" peerID=%x", member.ID)
			return nil
		}
	}
	return fmt.Errorf("peer not found: https://%s", net.JoinHostPort(address, "2380"))
}

func kubeconfigAdmin(_ *engine.Settings, _ []string) error {
	text, err := os.ReadFile(admin)
	if err != nil {
		return fmt.Errorf("admin PKI file %q not found, check if the control plane is initialized on this node", admin)
	}
	config, err := readConfig("")
	if err != nil {
		return err
	}
	fmt.Print(strings.ReplaceAll(string(text), "https://localhost:6443", config.joinURL("6443")))
	return nil
}

func backup(settings *engine.Settings, _ []string) error {
	dir := settings.Text("save-path", "")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("the save-path directory (%s) does not exist", dir)
	}
	answer, _, err := askStatus()
	if err != nil {
		return fmt.Errorf("unable to detect cluster status %w", err)
	}
	if answer.Role != "controller" {
		return fmt.Errorf("backup command must be run on the controller node, have `%s`", answer.Role)
	}
	etcd, _, err := etcdOfThisHost()
	if err != nil {
		return err
	}
	// With less in it than the real one, under the same names.
	work, err := os.MkdirTemp("", "k0s-backup")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := etcd.Save(context.Background(), etcd.LocalURL(), work+"/etcd-snapshot-backup.db"); err != nil {
		return err
	}
	file := filepath.Join(dir, "k0s_backup_"+time.Now().UTC().Format("2006-01-02T15_04_05_000Z")+".tar.gz")
	if text, err := exec.Command("tar", "-czf", file, "-C", work, "etcd-snapshot-backup.db", "-C", "/etc/k0s", "k0s.yaml", "-C", dataDir, "pki").CombinedOutput(); err != nil {
		return fmt.Errorf("failed to create archive: %w: %s", err, text)
	}
	return nil
}
