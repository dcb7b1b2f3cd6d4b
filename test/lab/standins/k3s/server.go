package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

// The authorities of a cluster and the key of its service accounts: what a joining server is given. Source: k3s, pkg/bootstrap.
var shared = map[string]string{
	"ServerCA": "server-ca.crt", "ServerCAKey": "server-ca.key", "ClientCA": "client-ca.crt", "ClientCAKey": "client-ca.key",
	"RequestHeaderCA": "request-header-ca.crt", "RequestHeaderCAKey": "request-header-ca.key",
	"ETCDServerCA": "etcd/server-ca.crt", "ETCDServerCAKey": "etcd/server-ca.key", "ETCDPeerCA": "etcd/peer-ca.crt", "ETCDPeerCAKey": "etcd/peer-ca.key",
	"ServiceKey": "service.key",
}

type serverState struct {
	settings      *engine.Settings
	family        *engine.Family
	bin           string
	name, address string
	token         token
	authorities   map[string]*engine.Authority
	etcd          *engine.Etcd
	embedded      bool
	admin         *engine.API
	seen          map[string]bool
}

func server(args []string) error {
	settings, err := readSettings(args, nodeSettings, serverSettings)
	if err != nil {
		return err
	}
	for _, item := range settings.List("disable") {
		for _, one := range strings.Split(item, ",") {
			if !disableItems[one] {
				return fmt.Errorf("invalid --disable item %q", one)
			}
		}
	}
	s := &serverState{settings: settings, authorities: map[string]*engine.Authority{}}
	if s.token, err = readToken(settings); err != nil {
		return err
	}
	if s.name, s.address, err = nodeOf(settings); err != nil {
		return err
	}
	join := settings.Text("server", "")
	if join != "" && settings.Flag("cluster-init") && !s.begun() {
		// k3s takes --server, with a warning; nobody can want both.
		return fmt.Errorf("server and cluster-init are both given: the stand-in refuses that")
	}
	if join != "" && !s.begun() && s.token.password == "" {
		return fmt.Errorf("--token is required to join a cluster")
	}
	engine.Logf("level=info msg=\"Starting k3s %s (%s)\"", version, standIn)
	modprobe()
	if s.bin, err = unpack(dataDir); err != nil {
		return err
	}
	s.family = engine.NewFamily()
	if err := s.start(join); err != nil {
		s.family.Fail(err)
	}
	return s.family.Wait()
}

func (s *serverState) begun() bool {
	return engine.Exists(serverDir+"/db/etcd/member") || engine.Exists(serverDir+"/db/state.db")
}

func (s *serverState) start(join string) error {
	var client *engine.JoinClient
	if join != "" && !s.begun() {
		var err error
		if client, err = s.bootstrap(join); err != nil {
			return err
		}
	}
	if err := s.certificates(); err != nil {
		return err
	}
	if err := s.tokens(client != nil); err != nil {
		return err
	}
	if err := s.datastore(client); err != nil {
		return err
	}
	if err := s.controlPlane(); err != nil {
		return err
	}
	if err := s.supervisor(); err != nil {
		return err
	}
	if err := s.kubeconfig(); err != nil {
		return err
	}
	if s.embedded {
		s.family.Every(2*time.Second, "members of etcd", s.forgetMembers)
	}
	s.family.Every(2*time.Second, "passwords of nodes", s.forgetPasswords)
	if err := s.registerPassword(s.family.Context(), s.name, nodePassword()); err != nil {
		return err
	}
	if err := s.agentFiles(); err != nil {
		return err
	}
	proxy := agentDir + "/kubeproxy.kubeconfig"
	if s.settings.Flag("disable-kube-proxy") {
		proxy = ""
	}
	labels := []string{}
	if err := startNode(s.family, s.settings, node{
		bin: s.bin, name: s.name, address: s.address, labels: labels, proxy: proxy,
		clusterCIDR: s.one("cluster-cidr", "10.42.0.0/16"), clusterDNS: s.clusterDNS(), clusterDomain: s.settings.Text("cluster-domain", "cluster.local"),
		api: s.admin,
	}); err != nil {
		return err
	}
	s.family.Every(2*time.Second, "labels of the node", s.labelNode)
	engine.Logf("level=info msg=\"k3s is up and running\"")
	return engine.NotifyReady()
}

// bootstrap fetches the authorities of a cluster from one of its servers.
func (s *serverState) bootstrap(join string) (*engine.JoinClient, error) {
	client, err := engine.NewJoinClient(join, "/cacerts", s.token.caHash)
	if err != nil {
		return nil, err
	}
	client.User, client.Password = s.token.user, s.token.password
	var files map[string][]byte
	if _, err := client.Get("/v1-k3s/server-bootstrap", &files); err != nil {
		return nil, fmt.Errorf("failed to retrieve cluster bootstrap data: %w", err)
	}
	for key, name := range shared {
		content, ok := files[key]
		if !ok {
			return nil, fmt.Errorf("bootstrap data have no %s", key)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o600
		}
		if err := engine.WriteFile(filepath.Join(tlsDir, name), content, mode); err != nil {
			return nil, err
		}
	}
	return client, nil
}

func (s *serverState) certificates() error {
	if err := os.MkdirAll(serverDir, 0o700); err != nil {
		return err
	}
	for name, cn := range map[string]string{
		"server-ca": "k3s-server-ca", "client-ca": "k3s-client-ca", "request-header-ca": "k3s-request-header-ca",
		"etcd/server-ca": "etcd-server-ca", "etcd/peer-ca": "etcd-peer-ca",
	} {
		authority, err := engine.EnsureAuthority(filepath.Join(tlsDir, name+".crt"), filepath.Join(tlsDir, name+".key"), cn)
		if err != nil {
			return err
		}
		s.authorities[name] = authority
	}
	if err := engine.EnsureServiceKey(tlsDir + "/service.key"); err != nil {
		return err
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", s.name}
	addresses := []string{"127.0.0.1", s.address, serviceAddress(s.one("service-cidr", "10.43.0.0/16"))}
	for _, san := range s.settings.List("tls-san") {
		for _, one := range strings.Split(san, ",") {
			if net.ParseIP(one) != nil {
				addresses = append(addresses, one)
			} else {
				names = append(names, one)
			}
		}
	}
	for _, one := range []struct {
		authority, file string
		leaf            engine.Leaf
	}{
		{"server-ca", "serving-kube-apiserver", engine.Leaf{CN: "kube-apiserver", DNS: names, IPs: addresses, Server: true}},
		{"client-ca", "client-admin", engine.Leaf{CN: "system:admin", Orgs: []string{"system:masters"}, Client: true}},
		{"client-ca", "client-controller", engine.Leaf{CN: "system:kube-controller-manager", Client: true}},
		{"client-ca", "client-scheduler", engine.Leaf{CN: "system:kube-scheduler", Client: true}},
		{"client-ca", "client-kube-apiserver", engine.Leaf{CN: "system:apiserver", Orgs: []string{"system:masters"}, Client: true}},
		{"client-ca", "client-kube-proxy", engine.Leaf{CN: "system:kube-proxy", Client: true}},
		{"request-header-ca", "client-auth-proxy", engine.Leaf{CN: "system:auth-proxy", Client: true}},
		{"etcd/server-ca", "etcd/client", engine.Leaf{CN: "etcd-client", Client: true}},
		{"etcd/server-ca", "etcd/server-client", engine.Leaf{CN: "etcd-server", DNS: []string{"localhost", s.name}, IPs: []string{"127.0.0.1", s.address}, Server: true, Client: true}},
		{"etcd/peer-ca", "etcd/peer-server-client", engine.Leaf{CN: "etcd-peer", DNS: []string{"localhost", s.name}, IPs: []string{"127.0.0.1", s.address}, Server: true, Client: true}},
	} {
		base := filepath.Join(tlsDir, one.file)
		if err := s.authorities[one.authority].Ensure(base+".crt", base+".key", one.leaf); err != nil {
			return err
		}
	}
	return nil
}

// tokens settles the password of the cluster and writes it where k3s does.
func (s *serverState) tokens(joined bool) error {
	file := serverDir + "/token"
	ca, err := os.ReadFile(tlsDir + "/server-ca.crt")
	if err != nil {
		return err
	}
	hash := engine.CAHash(ca)
	if s.token.caHash != "" && s.token.caHash != hash {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", s.token.caHash, hash)
	}
	if kept, err := os.ReadFile(file); err == nil && !joined {
		old, err := parseToken(strings.TrimSpace(string(kept)))
		if err != nil {
			return err
		}
		if s.token.password != "" && !engine.SameSecret(s.token.password, old.password) && s.begun() {
			return fmt.Errorf("bootstrap data already found and encrypted with different token")
		}
		if s.token.password == "" {
			s.token.password = old.password
		}
	}
	if s.token.password == "" {
		s.token.password = engine.RandomHex(16)
	}
	text := fmt.Sprintf("K10%s::server:%s\n", hash, s.token.password)
	if err := engine.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	for _, name := range []string{"node-token", "agent-token"} {
		_ = os.Remove(filepath.Join(serverDir, name))
		if err := os.Symlink(file, filepath.Join(serverDir, name)); err != nil {
			return err
		}
	}
	return nil
}

// datastore starts what stands for k3s' stores. With embedded etcd it is etcd; for SQLite, which only kine could stand for, it is an etcd on the
// loopback with its data in server/db/sqlite, beside the file by which k3s knows SQLite, and it is moved into a member of a cluster as k3s moves SQLite:
// at a start with cluster-init.
func (s *serverState) datastore(client *engine.JoinClient) error {
	s.etcd = &engine.Etcd{
		Bin: s.bin, DataDir: serverDir + "/db/etcd", Name: s.name, Address: s.address,
		ServerCA: tlsDir + "/etcd/server-ca.crt", ServerCert: tlsDir + "/etcd/server-client.crt", ServerKey: tlsDir + "/etcd/server-client.key",
		PeerCA: tlsDir + "/etcd/peer-ca.crt", PeerCert: tlsDir + "/etcd/peer-server-client.crt", PeerKey: tlsDir + "/etcd/peer-server-client.key",
		ClientCert: tlsDir + "/etcd/client.crt", ClientKey: tlsDir + "/etcd/client.key",
	}
	s.embedded = true
	nameFile := serverDir + "/db/etcd/name"
	if name, err := os.ReadFile(nameFile); err == nil {
		s.etcd.Name = string(name)
	} else {
		s.etcd.Name = s.name + "-" + engine.RandomHex(4)
	}
	sqlite := serverDir + "/db/state.db"
	alone := *s.etcd
	alone.DataDir, alone.Name, alone.Address, alone.PeerPort = serverDir+"/db/sqlite", "sqlite", "127.0.0.1", 2390
	writeName := func() error { return engine.WriteFile(nameFile, []byte(s.etcd.Name), 0o600) }
	switch {
	case s.etcd.Begun():
		return s.etcd.Start(s.family)
	case client != nil:
		var members struct{ Members []engine.Member }
		if _, err := client.Get("/db/info", &members); err != nil {
			return fmt.Errorf("failed to get member list from cluster, will retry: %w", err)
		}
		for _, member := range members.Members {
			if len(member.ClientURLs) > 0 && member.AddressOf() != s.address {
				if err := writeName(); err != nil {
					return err
				}
				return s.etcd.Join(s.family, member.ClientURLs[0])
			}
		}
		return fmt.Errorf("the cluster has no member of etcd to ask")
	case s.settings.Flag("cluster-init") && engine.Exists(sqlite):
		engine.Logf("level=info msg=\"Migrating content from sqlite to etcd\"")
		if err := s.migrate(&alone); err != nil {
			return err
		}
		if err := writeName(); err != nil {
			return err
		}
		if err := os.Rename(sqlite, sqlite+".migrated"); err != nil {
			return err
		}
		return s.etcd.Start(s.family)
	case s.settings.Flag("cluster-init"):
		if err := writeName(); err != nil {
			return err
		}
		return s.etcd.Start(s.family)
	}
	s.embedded = false
	if !engine.Exists(sqlite) {
		if err := engine.WriteFile(sqlite, []byte("a stand-in's: the data are in sqlite/\n"), 0o600); err != nil {
			return err
		}
	}
	*s.etcd = alone
	return s.etcd.Start(s.family)
}

func (s *serverState) migrate(alone *engine.Etcd) error {
	// In its own family: it ends before the member starts.
	family := engine.NewFamily()
	if err := alone.Start(family); err != nil {
		return err
	}
	snapshot := serverDir + "/db/migrating.db"
	if err := alone.Save(family.Context(), alone.LocalURL(), snapshot); err != nil {
		return err
	}
	family.Fail(nil)
	_ = family.Wait()
	_ = os.RemoveAll(s.etcd.DataDir)
	if err := s.etcd.Restore(s.family.Context(), snapshot); err != nil {
		return err
	}
	_ = os.RemoveAll(alone.DataDir)
	return os.Remove(snapshot)
}

func (s *serverState) controlPlane() error {
	credentials := serverDir + "/cred"
	server := "https://127.0.0.1:6444"
	for name, cert := range map[string]string{"controller": "client-controller", "scheduler": "client-scheduler", "admin": "client-admin"} {
		if err := engine.WriteKubeconfig(filepath.Join(credentials, name+".kubeconfig"), engine.Kubeconfig{
			Server: server, CAFile: tlsDir + "/server-ca.crt", CertFile: filepath.Join(tlsDir, cert+".crt"), KeyFile: filepath.Join(tlsDir, cert+".key"), Name: "local",
		}); err != nil {
			return err
		}
	}
	s.admin = &engine.API{URL: server, CAFile: tlsDir + "/server-ca.crt", CertFile: tlsDir + "/client-admin.crt", KeyFile: tlsDir + "/client-admin.key"}
	plane := engine.ControlPlane{
		Bin: s.bin, BindAddress: "0.0.0.0", AdvertiseAddress: s.address, Port: "6444",
		EtcdServers: s.etcd.LocalURL(), EtcdCA: s.etcd.ServerCA, EtcdCert: s.etcd.ClientCert, EtcdKey: s.etcd.ClientKey,
		ServerCert: tlsDir + "/serving-kube-apiserver.crt", ServerKey: tlsDir + "/serving-kube-apiserver.key",
		ClientCA: tlsDir + "/client-ca.crt", ServerCA: tlsDir + "/server-ca.crt",
		SigningCert: tlsDir + "/client-ca.crt", SigningKey: tlsDir + "/client-ca.key",
		KubeletClientCert: tlsDir + "/client-kube-apiserver.crt", KubeletClientKey: tlsDir + "/client-kube-apiserver.key",
		RequestHeaderCA: tlsDir + "/request-header-ca.crt", ProxyClientCert: tlsDir + "/client-auth-proxy.crt", ProxyClientKey: tlsDir + "/client-auth-proxy.key",
		ServiceKey:           tlsDir + "/service.key",
		ControllerKubeconfig: credentials + "/controller.kubeconfig", SchedulerKubeconfig: credentials + "/scheduler.kubeconfig",
		ClusterCIDR: s.one("cluster-cidr", "10.42.0.0/16"), ServiceCIDR: s.one("service-cidr", "10.43.0.0/16"), BootstrapTokens: true,
		ExtraAPIServer: arguments(s.settings.List("kube-apiserver-arg")), ExtraController: arguments(s.settings.List("kube-controller-manager-arg")),
		ExtraScheduler: arguments(s.settings.List("kube-scheduler-arg")),
	}
	return plane.Start(s.family, s.admin)
}

// supervisor serves joins and the API at one port, as k3s does.
func (s *serverState) supervisor() error {
	proxy, err := engine.APIProxy("https://127.0.0.1:6444", tlsDir+"/server-ca.crt", tlsDir+"/client-auth-proxy.crt", tlsDir+"/client-auth-proxy.key", s.authorities["client-ca"].Pool())
	if err != nil {
		return err
	}
	files := map[string]string{}
	for key, name := range shared {
		files[key] = filepath.Join(tlsDir, name)
	}
	servers := map[string]string{"server": s.token.password}
	nodes := map[string]string{"server": s.token.password, "node": s.token.password}
	if agentToken := s.settings.Text("agent-token", ""); agentToken != "" {
		nodes["node"] = agentToken
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/cacerts", func(answer http.ResponseWriter, request *http.Request) {
		http.ServeFile(answer, request, tlsDir+"/server-ca.crt")
	})
	mux.HandleFunc("/ping", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprint(answer, "pong") })
	mux.Handle("/v1-k3s/server-bootstrap", engine.BasicAuth(servers, engine.Files(files)))
	mux.Handle("/db/info", engine.BasicAuth(servers, http.HandlerFunc(s.dbInfo)))
	mux.Handle("/v1-k3s/apiservers", engine.BasicAuth(nodes, http.HandlerFunc(s.apiServers)))
	mux.Handle("/v1-k3s/node", engine.BasicAuth(nodes, http.HandlerFunc(s.admit)))
	mux.Handle("/", proxy)
	pair, err := tls.LoadX509KeyPair(tlsDir+"/serving-kube-apiserver.crt", tlsDir+"/serving-kube-apiserver.key")
	if err != nil {
		return err
	}
	return engine.Serve(s.family, "the supervisor", ":6443", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}, mux)
}

func (s *serverState) dbInfo(answer http.ResponseWriter, request *http.Request) {
	if !s.embedded {
		http.NotFound(answer, request)
		return
	}
	members, err := s.etcd.Members(request.Context(), s.etcd.LocalURL())
	if err != nil {
		http.Error(answer, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(answer).Encode(map[string]any{"members": members})
}

// apiServers lists the servers that the API itself knows: they come and go in the endpoints of the service kubernetes.
func (s *serverState) apiServers(answer http.ResponseWriter, request *http.Request) {
	text, err := s.admin.Get(request.Context(), "/api/v1/namespaces/default/endpoints/kubernetes")
	if err != nil {
		http.Error(answer, err.Error(), http.StatusServiceUnavailable)
		return
	}
	var endpoints struct {
		Subsets []struct {
			Addresses []struct {
				IP string `json:"ip"`
			} `json:"addresses"`
		} `json:"subsets"`
	}
	if err := json.Unmarshal(text, &endpoints); err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	servers := []string{}
	for _, subset := range endpoints.Subsets {
		for _, address := range subset.Addresses {
			servers = append(servers, net.JoinHostPort(address.IP, "6443"))
		}
	}
	_ = json.NewEncoder(answer).Encode(servers)
}

// admission is what a node asks for, and what it gets.
type admission struct{ Name, Password, Address string }
type admitted struct {
	Files                                  map[string][]byte
	ClusterCIDR, ClusterDNS, ClusterDomain string
	KubeProxy                              bool
}

func (s *serverState) admit(answer http.ResponseWriter, request *http.Request) {
	var wanted admission
	if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil || wanted.Name == "" || wanted.Password == "" {
		http.Error(answer, "node name or password not set", http.StatusBadRequest)
		return
	}
	if err := s.registerPassword(request.Context(), wanted.Name, wanted.Password); err != nil {
		http.Error(answer, err.Error(), http.StatusForbidden)
		return
	}
	files, err := s.nodeFiles(wanted.Name, wanted.Address)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(answer).Encode(admitted{files, s.one("cluster-cidr", "10.42.0.0/16"), s.clusterDNS(), s.settings.Text("cluster-domain", "cluster.local"), !s.settings.Flag("disable-kube-proxy")})
}

// nodeFiles are the certificates of a node.
func (s *serverState) nodeFiles(name, address string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, file := range []string{"server-ca.crt", "client-ca.crt"} {
		text, err := os.ReadFile(filepath.Join(tlsDir, file))
		if err != nil {
			return nil, err
		}
		files[file] = text
	}
	for _, one := range []struct {
		authority, file string
		leaf            engine.Leaf
	}{
		{"client-ca", "client-kubelet", engine.Leaf{CN: "system:node:" + name, Orgs: []string{"system:nodes"}, Client: true}},
		{"server-ca", "serving-kubelet", engine.Leaf{CN: name, DNS: []string{name, "localhost"}, IPs: []string{"127.0.0.1", address}, Server: true}},
		{"client-ca", "client-kube-proxy", engine.Leaf{CN: "system:kube-proxy", Client: true}},
		{"client-ca", "client-k3s-controller", engine.Leaf{CN: "system:k3s-controller", Orgs: []string{"system:masters"}, Client: true}},
	} {
		cert, key, err := s.authorities[one.authority].Issue(one.leaf)
		if err != nil {
			return nil, err
		}
		files[one.file+".crt"], files[one.file+".key"] = cert, key
	}
	return files, nil
}

func (s *serverState) agentFiles() error {
	files, err := s.nodeFiles(s.name, s.address)
	if err != nil {
		return err
	}
	return writeAgentFiles(files, "https://127.0.0.1:6443")
}

func (s *serverState) kubeconfig() error {
	file := s.settings.Text("write-kubeconfig", adminKubeconfig)
	if err := engine.WriteKubeconfig(file, engine.Kubeconfig{
		Server: "https://127.0.0.1:6443", CAFile: tlsDir + "/server-ca.crt", CertFile: tlsDir + "/client-admin.crt", KeyFile: tlsDir + "/client-admin.key", Embed: true,
	}); err != nil {
		return err
	}
	var mode uint32
	if text := s.settings.Text("write-kubeconfig-mode", ""); text != "" {
		if _, err := fmt.Sscanf(text, "%o", &mode); err != nil {
			return fmt.Errorf("write-kubeconfig-mode %q: %w", text, err)
		}
		return os.Chmod(file, os.FileMode(mode))
	}
	return nil
}

func (s *serverState) one(name, otherwise string) string {
	if values := s.settings.List(name); len(values) > 0 {
		return strings.Split(values[0], ",")[0]
	}
	return otherwise
}

func (s *serverState) clusterDNS() string {
	ip, _, err := net.ParseCIDR(s.one("service-cidr", "10.43.0.0/16"))
	if err != nil {
		return s.one("cluster-dns", "10.43.0.10")
	}
	ip = ip.To4()
	return s.one("cluster-dns", fmt.Sprintf("%d.%d.%d.10", ip[0], ip[1], ip[2]))
}

func serviceAddress(cidr string) string {
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil {
		return "10.43.0.1"
	}
	ip = ip.To4()
	return fmt.Sprintf("%d.%d.%d.1", ip[0], ip[1], ip[2])
}

// arguments makes `name=value` settings arguments of a program.
func arguments(values []string) []string {
	var result []string
	for _, value := range values {
		result = append(result, "--"+value)
	}
	return result
}

func etcdSnapshot(args []string) error {
	verb := "save"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if !atLeast(1, 21, 2) {
			return fmt.Errorf("this command does not take any arguments")
		}
		verb, args = args[0], args[1:]
	}
	if verb != "save" && verb != "ls" && verb != "list" {
		return fmt.Errorf("No help topic for etcd-snapshot %s", verb)
	}
	settings := engine.NewSettings(map[string]engine.Kind{
		"name": engine.Text, "dir": engine.Text, "etcd-snapshot-dir": engine.Text, "data-dir": engine.Text,
		"snapshot-compress": engine.Flag, "etcd-snapshot-compress": engine.Flag,
	})
	if rest, err := settings.ParseFlags(args); err != nil || len(rest) > 0 {
		return fmt.Errorf("Incorrect Usage: %v %v", err, rest)
	}
	if settings.Flag("snapshot-compress") || settings.Flag("etcd-snapshot-compress") {
		return fmt.Errorf("the stand-in does not compress")
	}
	dir := settings.Text("etcd-snapshot-dir", settings.Text("dir", serverDir+"/db/snapshots"))
	if verb != "save" {
		files, _ := filepath.Glob(dir + "/*")
		for _, file := range files {
			fmt.Println(filepath.Base(file), "file://"+file)
		}
		return nil
	}
	if !engine.Exists(serverDir + "/db/etcd/member") {
		return fmt.Errorf("etcd datastore disabled")
	}
	bin, err := unpack(dataDir)
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	etcd := engine.Etcd{Bin: bin, ServerCA: tlsDir + "/etcd/server-ca.crt", ClientCert: tlsDir + "/etcd/client.crt", ClientKey: tlsDir + "/etcd/client.key"}
	file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d", settings.Text("name", "on-demand"), name, time.Now().Unix()))
	if err := etcd.Save(context.Background(), etcd.LocalURL(), file); err != nil {
		return err
	}
	fmt.Printf("Snapshot %s saved.\n", filepath.Base(file))
	return nil
}
