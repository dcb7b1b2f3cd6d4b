package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

const statusSocket = runDir + "/status.sock"

// Users that the controllers' programs of k0s run as. The stand-in makes them, and runs everything as root.
var users = []string{"etcd", "konnectivity-server", "kube-apiserver", "kube-scheduler"}

func unitFile(role string) string { return "/etc/systemd/system/k0s" + role + ".service" }

// installAs writes the service of a role, with the flags that were given as its arguments.
func installAs(role string) func(*engine.Settings, []string) error {
	return func(settings *engine.Settings, _ []string) error {
		if err := needRoot(); err != nil {
			return err
		}
		if role == "controller" && settings.Flag("single") {
			return fmt.Errorf("--single: the stand-in has no such cluster")
		}
		if token := settings.Text("token-file", ""); token != "" && !engine.Exists(token) {
			return fmt.Errorf("%s does not exist", token)
		}
		if role == "controller" {
			if _, err := readConfig(settings.Text("config", "")); err != nil {
				return fmt.Errorf("invalid node config: %w", err)
			}
			for _, user := range users {
				if exec.Command("getent", "passwd", user).Run() == nil {
					continue
				}
				if text, err := exec.Command("useradd", "--home", dataDir, "--shell", "/usr/sbin/nologin", "--system", "--no-create-home", user).CombinedOutput(); err != nil {
					return fmt.Errorf("failed to create controller users: %w: %s", err, text)
				}
			}
		}
		for _, other := range []string{"controller", "worker"} {
			if other != role && engine.Exists(unitFile(other)) {
				// k0s would install both, and start only the first: nobody can want that.
				return fmt.Errorf("%s is installed already: the stand-in refuses both", unitFile(other))
			}
		}
		force := atLeast(1, 24, 0) && settings.Flag("force")
		if engine.Exists(unitFile(role)) {
			if !force {
				return fmt.Errorf("failed to install k0s service: failed to install service: Init already exists: %s", unitFile(role))
			}
			if err := uninstall(role); err != nil {
				return err
			}
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		words := []string{self, role}
		for _, word := range given {
			if !strings.HasPrefix(word, "--force=") && !strings.HasPrefix(word, "--env=") {
				words = append(words, word)
			}
		}
		unit := fmt.Sprintf(`[Unit]
Description=k0s - Zero Friction Kubernetes
Documentation=https://docs.k0sproject.io
ConditionFileIsExecutable=%s

After=network-online.target 
Wants=network-online.target 

[Service]
StartLimitInterval=5
StartLimitBurst=10
ExecStart=%s

RestartSec=10
Delegate=yes
KillMode=process
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
LimitNOFILE=999999
Restart=always

[Install]
WantedBy=multi-user.target
`, self, strings.Join(words, " "))
		if err := engine.WriteFile(unitFile(role), []byte(unit), 0o644); err != nil {
			return err
		}
		if err := systemctl("enable", "k0s"+role+".service"); err != nil {
			return err
		}
		return systemctl("daemon-reload")
	}
}

func uninstall(role string) error {
	if !engine.Exists(unitFile(role)) {
		return nil
	}
	if err := systemctl("disable", "k0s"+role+".service"); err != nil {
		return err
	}
	if err := os.Remove(unitFile(role)); err != nil {
		return err
	}
	return systemctl("daemon-reload")
}

func installed() (string, error) {
	for _, role := range []string{"controller", "worker"} {
		if engine.Exists(unitFile(role)) {
			return "k0s" + role + ".service", nil
		}
	}
	return "", fmt.Errorf("k0s has not been installed as a service")
}

func start(_ *engine.Settings, _ []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	unit, err := installed()
	if err != nil {
		return err
	}
	if exec.Command("systemctl", "is-active", "-q", unit).Run() == nil {
		return fmt.Errorf("already running")
	}
	return systemctl("start", unit)
}

func stop(_ *engine.Settings, _ []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	unit, err := installed()
	if err != nil {
		return err
	}
	if exec.Command("systemctl", "is-active", "-q", unit).Run() != nil {
		return fmt.Errorf("already stopped")
	}
	return systemctl("stop", unit)
}

func systemctl(args ...string) error {
	if text, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return nil
}

// status is what the k0s that runs says of itself.
type status struct {
	Version       string
	Pid, PPid     int
	Role          string
	SysInit       string
	StubFile      string
	Output        string
	Workloads     bool
	SingleNode    bool
	Args          []string
	ClusterConfig map[string]any
	K0sVars       map[string]string
}

// serveStatus answers whoever connects to the socket.
func serveStatus(family *engine.Family, role string, workloads bool, config map[string]any) error {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	_ = os.Remove(statusSocket)
	listener, err := net.Listen("unix", statusSocket)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(status{
		Version: version, Pid: os.Getpid(), PPid: os.Getppid(), Role: role, SysInit: "linux-systemd", StubFile: unitFile(role),
		Workloads: workloads, Args: os.Args, ClusterConfig: config, K0sVars: map[string]string{"DataDir": dataDir, "RunDir": runDir},
	}, "", "   ")
	if err != nil {
		return err
	}
	go func() {
		<-family.Context().Done()
		_ = listener.Close()
	}()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Write(text)
			_ = connection.Close()
		}
	}()
	return nil
}

func askStatus() (*status, []byte, error) {
	connection, err := net.DialTimeout("unix", statusSocket, 3*time.Second)
	if err != nil {
		return nil, nil, fmt.Errorf("status: can't get \"status\" via %q: %w", statusSocket, err)
	}
	defer connection.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(connection); err != nil {
		return nil, nil, err
	}
	var answer status
	return &answer, text.Bytes(), json.Unmarshal(text.Bytes(), &answer)
}

func printStatus(settings *engine.Settings, _ []string) error {
	answer, text, err := askStatus()
	if err != nil {
		if !atLeast(1, 24, 0) {
			fmt.Println("K0s is not running")
			return nil
		}
		return err
	}
	switch settings.Text("out", settings.Text("o", "")) {
	case "json":
		fmt.Println(string(text))
	case "":
		fmt.Printf("Version: %s\nProcess ID: %d\nRole: %s\nWorkloads: %v\nSingleNode: false\n", answer.Version, answer.Pid, answer.Role, answer.Workloads)
	default:
		return fmt.Errorf("the stand-in prints JSON alone")
	}
	return nil
}

// reset does what k0s reset does, and leaves what that leaves: its program, its configuration, rules of the packet filter.
func reset(_ *engine.Settings, _ []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	if answer, _, err := askStatus(); err == nil && answer.Pid != 0 {
		return fmt.Errorf("k0s seems to be running! please stop k0s before reset")
	}
	stopContainers()
	for _, user := range users {
		_ = exec.Command("userdel", user).Run()
	}
	for _, role := range []string{"controller", "worker"} {
		if err := uninstall(role); err != nil {
			return err
		}
	}
	if err := unmountBelow(dataDir, "/run/netns", runDir); err != nil {
		return err
	}
	for _, path := range []string{dataDir, runDir, "/etc/cni/net.d/10-calico.conflist", "/etc/cni/net.d/calico-kubeconfig", "/etc/cni/net.d/10-kuberouter.conflist"} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	_ = exec.Command("ip", "link", "delete", bridge).Run()
	engine.Logf("k0s cleanup operations done. To ensure a full reset, a node reboot is recommended.")
	return nil
}

// stopContainers ends the shims of k0s' containerd with all they hold.
func stopContainers() {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		words := strings.Split(string(text), "\x00")
		if err != nil || !strings.Contains(words[0], "containerd-shim") || !strings.Contains(string(text), "\x00-address\x00"+socket) {
			continue
		}
		pid := filepath.Base(filepath.Dir(file))
		_ = exec.Command("sh", "-c", `for c in $(cat /proc/$0/task/*/children 2>/dev/null); do kill -9 $c; done; kill -9 $0`, pid).Run()
	}
}

func unmountBelow(places ...string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var mounts []string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		for _, place := range places {
			if len(fields) > 4 && strings.HasPrefix(fields[4], place+"/") {
				mounts = append(mounts, strings.ReplaceAll(fields[4], `\040`, " "))
			}
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(mounts)))
	for _, mount := range mounts {
		if exec.Command("umount", mount).Run() != nil {
			if text, err := exec.Command("umount", "-l", mount).CombinedOutput(); err != nil {
				return fmt.Errorf("failed unmount %s: %s", mount, text)
			}
		}
	}
	return nil
}
