package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Etcd is a member of etcd on this host, with Debian's programs.
type Etcd struct {
	// Directory of etcd and etcdctl.
	Bin     string
	DataDir string
	// Name of the member, and address of this host.
	Name    string
	Address string
	// Authority of servers and clients, and the one of peers (they may be one).
	ServerCA, ServerCert, ServerKey string
	PeerCA, PeerCert, PeerKey       string
	ClientCert, ClientKey           string
	// Ports; 0: 2379 and 2380.
	ClientPort, PeerPort int
}

// Member is one member of etcd.
type Member struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
}

// ClientURL is where this member is asked.
func (e *Etcd) ClientURL() string { return "https://" + net.JoinHostPort(e.Address, e.clientPort()) }

// LocalURL is the same on this host, whatever address it has.
func (e *Etcd) LocalURL() string { return "https://127.0.0.1:" + e.clientPort() }

// PeerURL is where other members find this one.
func (e *Etcd) PeerURL() string {
	port := "2380"
	if e.PeerPort != 0 {
		port = fmt.Sprint(e.PeerPort)
	}
	return "https://" + net.JoinHostPort(e.Address, port)
}

// Begun says whether this member has data already: then it neither begins nor joins a cluster, it goes on.
func (e *Etcd) Begun() bool { return Exists(filepath.Join(e.DataDir, "member")) }

// Start begins a cluster of one, or goes on with the data that are there.
func (e *Etcd) Start(family *Family) error {
	return e.start(family, "new", e.Name+"="+e.PeerURL())
}

// Join adds this member to the cluster whose member answers at clientURL, and starts it. A member of an earlier attempt of this host that
// never came is taken out before.
func (e *Etcd) Join(family *Family, clientURL string) error {
	members, err := e.Members(family.Context(), clientURL)
	if err != nil {
		return err
	}
	for _, member := range members {
		if member.Name == "" && len(member.PeerURLs) > 0 && member.PeerURLs[0] == e.PeerURL() {
			if err := e.Remove(family.Context(), clientURL, member.ID); err != nil {
				return err
			}
		}
	}
	if _, err := e.ctl(family.Context(), clientURL, "member", "add", e.Name, "--peer-urls="+e.PeerURL()); err != nil {
		return err
	}
	if members, err = e.Members(family.Context(), clientURL); err != nil {
		return err
	}
	return e.start(family, "existing", initialCluster(members, e))
}

// Members asks the member at clientURL.
func (e *Etcd) Members(ctx context.Context, clientURL string) ([]Member, error) {
	text, err := e.ctl(ctx, clientURL, "member", "list", "--write-out=json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Members []Member `json:"members"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("etcdctl member list: %w", err)
	}
	return list.Members, nil
}

// Remove takes a member out.
func (e *Etcd) Remove(ctx context.Context, clientURL string, id uint64) error {
	_, err := e.ctl(ctx, clientURL, "member", "remove", fmt.Sprintf("%x", id))
	return err
}

// Save writes a snapshot of the member at clientURL into a file.
func (e *Etcd) Save(ctx context.Context, clientURL, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	_, err := e.ctl(ctx, clientURL, "snapshot", "save", file)
	return err
}

// Restore makes the data directory from a snapshot: a cluster of this member alone.
func (e *Etcd) Restore(ctx context.Context, file string) error {
	command := exec.CommandContext(ctx, filepath.Join(e.Bin, "etcdctl"), "snapshot", "restore", file, "--name="+e.Name,
		"--data-dir="+e.DataDir, "--initial-cluster="+e.Name+"="+e.PeerURL(), "--initial-advertise-peer-urls="+e.PeerURL())
	command.Env = append(os.Environ(), "ETCDCTL_API=3")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("etcdctl snapshot restore: %w: %s", err, text)
	}
	return os.Chmod(e.DataDir, 0o700)
}

// Healthy asks this member whether it takes part.
func (e *Etcd) Healthy(ctx context.Context) error {
	_, err := e.ctl(ctx, e.LocalURL(), "endpoint", "health")
	return err
}

func (e *Etcd) start(family *Family, state, cluster string) error {
	if err := os.MkdirAll(e.DataDir, 0o700); err != nil {
		return err
	}
	err := family.Start("etcd", filepath.Join(e.Bin, "etcd"),
		"--name="+e.Name, "--data-dir="+e.DataDir, "--log-level=warn",
		"--listen-client-urls="+e.LocalURL()+","+e.ClientURL(), "--advertise-client-urls="+e.ClientURL(),
		"--listen-peer-urls="+e.PeerURL(), "--initial-advertise-peer-urls="+e.PeerURL(),
		"--initial-cluster="+cluster, "--initial-cluster-state="+state,
		"--client-cert-auth", "--trusted-ca-file="+e.ServerCA, "--cert-file="+e.ServerCert, "--key-file="+e.ServerKey,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+e.PeerCA, "--peer-cert-file="+e.PeerCert, "--peer-key-file="+e.PeerKey,
		"--heartbeat-interval=500", "--election-timeout=5000")
	if err != nil {
		return err
	}
	return family.WaitUntil("etcd", 3*time.Minute, e.Healthy)
}

func (e *Etcd) ctl(ctx context.Context, clientURL string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	all := append([]string{"--endpoints=" + clientURL, "--cacert=" + e.ServerCA, "--cert=" + e.ClientCert, "--key=" + e.ClientKey,
		"--command-timeout=20s"}, args...)
	command := exec.CommandContext(ctx, filepath.Join(e.Bin, "etcdctl"), all...)
	command.Env = append(os.Environ(), "ETCDCTL_API=3")
	var wrong strings.Builder
	command.Stderr = &wrong
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("etcdctl %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(wrong.String()))
	}
	return text, nil
}

func (e *Etcd) clientPort() string {
	if e.ClientPort != 0 {
		return fmt.Sprint(e.ClientPort)
	}
	return "2379"
}

// AddressOf is the address in a member's peer URL.
func (m Member) AddressOf() string {
	if len(m.PeerURLs) == 0 {
		return ""
	}
	parsed, err := url.Parse(m.PeerURLs[0])
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

func initialCluster(members []Member, self *Etcd) string {
	var parts []string
	for _, member := range members {
		name := member.Name
		if member.AddressOf() == self.Address && name == "" {
			name = self.Name
		}
		if name == "" {
			continue
		}
		for _, peer := range member.PeerURLs {
			parts = append(parts, name+"="+peer)
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, ",")
}
