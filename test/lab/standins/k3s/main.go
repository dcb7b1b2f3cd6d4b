// A stand-in for k3s, for the tests of Slipway's driver: real Kubernetes inside, k3s to the outside. Not k3s. See ../README.md.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"slipway.test/standins/engine"
)

var version = "v0.0.0"

const standIn = "stand-in for tests, not k3s"

func main() {
	if os.Geteuid() != 0 && len(os.Args) > 1 && os.Args[1] != "--version" {
		fail(fmt.Errorf("must run as root unless --rootless is specified"))
	}
	args := os.Args[1:]
	switch name := filepath.Base(os.Args[0]); name {
	case "kubectl", "crictl", "ctr":
		args = append([]string{name}, args...)
	}
	if len(args) == 0 {
		usage("")
	}
	switch args[0] {
	case "--version", "-v":
		fmt.Printf("k3s version %s (%s)\ngo version go1.19\n", version, standIn)
	case "server":
		fail(server(args[1:]))
	case "agent":
		fail(agent(args[1:]))
	case "kubectl", "crictl", "ctr":
		fail(tool(args[0], args[1:]))
	case "etcd-snapshot":
		fail(etcdSnapshot(args[1:]))
	case "certificate":
		fail(certificate(args[1:]))
	case "check-config":
	default:
		usage(args[0])
	}
}

func usage(command string) {
	fmt.Fprintf(os.Stderr, "No help topic for '%s' (%s)\nCOMMANDS: server agent kubectl crictl ctr check-config etcd-snapshot certificate\n", command, standIn)
	os.Exit(3)
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "level=fatal msg=%q\n", err)
	os.Exit(1)
}

// tool becomes one of the programs that k3s has inside, with k3s' defaults.
func tool(name string, args []string) error {
	bin, err := unpack(dataDir)
	if err != nil {
		return err
	}
	env := os.Environ()
	if name == "kubectl" && os.Getenv("KUBECONFIG") == "" && !strings.Contains(strings.Join(args, " "), "--kubeconfig") {
		env = append(env, "KUBECONFIG="+adminKubeconfig)
	}
	if name == "ctr" || name == "crictl" {
		env = append(env, "CONTAINERD_ADDRESS="+containerdSocket, "CONTAINERD_HOSTS_DIR="+agentDir+"/etc/containerd/certs.d")
	}
	if name == "ctr" && os.Getenv("CONTAINERD_NAMESPACE") == "" {
		env = append(env, "CONTAINERD_NAMESPACE=k8s.io")
	}
	env = append(env, "PATH="+bin+":"+os.Getenv("PATH"))
	return syscall.Exec(filepath.Join(bin, name), append([]string{name}, args...), env)
}

// unpack puts the programs where k3s has its own, and gives that directory.
func unpack(dir string) (string, error) {
	id, err := engine.BundleID()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "data", id, "bin")
	if err := engine.Unpack(bin); err != nil {
		return "", err
	}
	current := filepath.Join(dir, "data", "current")
	if target, _ := os.Readlink(current); target != filepath.Join(dir, "data", id) {
		if engine.Exists(current) {
			_ = os.Remove(filepath.Join(dir, "data", "previous"))
			_ = os.Rename(current, filepath.Join(dir, "data", "previous"))
		}
		if err := os.Symlink(filepath.Join(dir, "data", id), current); err != nil && !engine.Exists(current) {
			return "", err
		}
	}
	return bin, nil
}

// atLeast says whether this pretends to be of this release or a later one.
func atLeast(major, minor, patch int) bool { return engine.AtLeast(version, major, minor, patch) }

func modprobe() {
	for _, name := range []string{"overlay", "nf_conntrack", "br_netfilter"} {
		_ = exec.Command("modprobe", name).Run()
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"} {
		_ = os.WriteFile("/proc/sys/"+name, []byte("1"), 0)
	}
}
