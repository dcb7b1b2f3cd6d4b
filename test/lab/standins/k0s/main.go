// A stand-in for k0s, for the tests of Slipway's driver: real Kubernetes inside, k0s to the outside. Not k0s. See ../README.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"slipway.test/standins/engine"
)

var version = "v0.0.0"

const (
	standIn    = "stand-in for tests, not k0s"
	dataDir    = "/var/lib/k0s"
	binDir     = dataDir + "/bin"
	pkiDir     = dataDir + "/pki"
	etcdDir    = dataDir + "/etcd"
	imagesDir  = dataDir + "/images"
	runDir     = "/run/k0s"
	configFile = "/etc/k0s/k0s.yaml"
	admin      = pkiDir + "/admin.conf"
	kubeletCfg = dataDir + "/kubelet.conf"
	socket     = runDir + "/containerd.sock"
)

type command struct {
	flags map[string]engine.Kind
	// How many arguments it takes; -1: any.
	arguments int
	run       func(settings *engine.Settings, args []string) error
}

// The flags that nearly every command takes.
var persistent = map[string]engine.Kind{
	"debug": engine.Flag, "verbose": engine.Flag, "data-dir": engine.Text, "status-socket": engine.Text, "debugListenOn": engine.Text,
}

var fileInput = map[string]engine.Kind{"config": engine.Text}

var workerFlags = map[string]engine.Kind{
	"profile": engine.Text, "token-file": engine.Text, "logging": engine.Text, "labels": engine.List, "taints": engine.List,
	"kubelet-extra-args": engine.Text, "iptables-mode": engine.Text, "cri-socket": engine.Text, "cidr-range": engine.Text,
}

var controllerFlags = map[string]engine.Kind{
	"enable-worker": engine.Flag, "no-taints": engine.Flag, "single": engine.Flag, "enable-dynamic-config": engine.Flag,
	"disable-components": engine.List,
}

func commands() map[string]command {
	install := map[string]engine.Kind{}
	// The flag is older than k0sctl's trust in it.
	if atLeast(1, 24, 0) {
		install["force"] = engine.Flag
		install["env"] = engine.List
	}
	all := map[string]command{
		"version":            {merged(map[string]engine.Kind{"all": engine.Flag, "json": engine.Flag}), 0, printVersion},
		"config create":      {merged(persistent, map[string]engine.Kind{"include-images": engine.Flag}), 0, configCreate},
		"config validate":    {merged(persistent, fileInput), 0, configValidate},
		"validate config":    {merged(persistent, fileInput), 0, configValidate},
		"install controller": {merged(persistent, fileInput, workerFlags, controllerFlags, install), 0, installAs("controller")},
		"install worker":     {merged(persistent, workerFlags, install), 0, installAs("worker")},
		"controller":         {merged(persistent, fileInput, workerFlags, controllerFlags), 0, controller},
		"worker":             {merged(persistent, workerFlags), 0, worker},
		"start":              {merged(), 0, start},
		"stop":               {merged(), 0, stop},
		"status":             {merged(persistent, map[string]engine.Kind{"out": engine.Text, "o": engine.Text}), 0, printStatus},
		"token create":       {merged(persistent, map[string]engine.Kind{"role": engine.Text, "expiry": engine.Text, "wait": engine.Flag}), 0, tokenCreate},
		"token list":         {merged(persistent, map[string]engine.Kind{"role": engine.Text}), 0, tokenList},
		"token invalidate":   {merged(persistent), -1, tokenInvalidate},
		"etcd member-list":   {merged(persistent), 0, etcdMemberList},
		"etcd leave":         {merged(persistent, map[string]engine.Kind{"peer-address": engine.Text}), 0, etcdLeave},
		"kubeconfig admin":   {merged(persistent), 0, kubeconfigAdmin},
		"airgap list-images": {merged(persistent, fileInput, map[string]engine.Kind{"all": engine.Flag}), 0, listImages},
		"backup":             {merged(persistent, map[string]engine.Kind{"save-path": engine.Text}), 0, backup},
		"reset":              {merged(persistent, fileInput, map[string]engine.Kind{"cri-socket": engine.Text, "kubelet-root-dir": engine.Text}), 0, reset},
	}
	if !atLeast(1, 23, 0) {
		// They were "default-config" and "validate config" before.
		delete(all, "config create")
		delete(all, "config validate")
	}
	return all
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && (args[0] == "kubectl" || args[0] == "kc" || args[0] == "ctr") {
		fail(tool(args[0], args[1:]))
		return
	}
	known := commands()
	for words := 2; words >= 1; words-- {
		if len(args) < words {
			continue
		}
		found, ok := known[strings.Join(args[:words], " ")]
		if !ok {
			continue
		}
		settings := engine.NewSettings(found.flags)
		rest, err := settings.ParseFlags(args[words:])
		if err != nil {
			fail(fmt.Errorf("unknown flag or argument: %w", err))
		}
		given = normalized(args[words:], found.flags)
		if found.arguments >= 0 && len(rest) > found.arguments {
			fail(fmt.Errorf("unknown command %q for %q", rest[0], "k0s "+strings.Join(args[:words], " ")))
		}
		if dir := dataDirOf(settings, found.flags); dir != dataDir {
			fail(fmt.Errorf("--data-dir=%s: the stand-in has its data in %s", dir, dataDir))
		}
		fail(found.run(settings, rest))
		return
	}
	fail(fmt.Errorf("unknown command %q for \"k0s\" (%s)", strings.Join(args, " "), standIn))
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "Error: %v\n", err)
	os.Exit(1)
}

func merged(sets ...map[string]engine.Kind) map[string]engine.Kind {
	all := map[string]engine.Kind{}
	for _, set := range sets {
		for name, kind := range set {
			all[name] = kind
		}
	}
	return all
}

// atLeast says whether this pretends to be of this release or a later one.
func atLeast(major, minor, patch int) bool {
	return engine.AtLeast(version, major, minor, patch)
}

// given is the flags of this call as `--name=value`.
var given []string

func normalized(args []string, flags map[string]engine.Kind) []string {
	var words []string
	for index := 0; index < len(args); index++ {
		name, value, has := strings.Cut(strings.TrimLeft(args[index], "-"), "=")
		kind, known := flags[name]
		switch {
		case !known || !strings.HasPrefix(args[index], "-"):
			continue
		case !has && kind == engine.Flag:
			value = "true"
		case !has:
			index++
			value = args[index]
		}
		words = append(words, "--"+name+"="+value)
	}
	sort.Strings(words)
	return words
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("this command must be run as root")
	}
	return nil
}

func printVersion(settings *engine.Settings, _ []string) error {
	switch {
	case settings.Flag("json"):
		text, _ := json.MarshalIndent(map[string]string{"k0s": version}, "", "   ")
		fmt.Println(string(text))
	default:
		fmt.Println(version)
	}
	return nil
}

// tool becomes one of the programs that k0s has inside, with k0s' defaults.
func tool(name string, args []string) error {
	if err := unpack(); err != nil {
		return err
	}
	if name == "kc" {
		name = "kubectl"
	}
	env := os.Environ()
	switch name {
	case "kubectl":
		if os.Getenv("KUBECONFIG") == "" && !strings.Contains(strings.Join(args, " "), "--kubeconfig") {
			if !engine.Exists(admin) {
				return fmt.Errorf("cannot stat k0s kubeconfig, is the server running?: %s", admin)
			}
			env = append(env, "KUBECONFIG="+admin)
		}
	case "ctr":
		env = append(env, "CONTAINERD_ADDRESS="+socket, "CONTAINERD_NAMESPACE=k8s.io")
	}
	return syscall.Exec(filepath.Join(binDir, name), append([]string{name}, args...), env)
}

// unpack puts the programs where k0s has its own: those of another version go.
func unpack() error {
	id, err := engine.BundleID()
	if err != nil {
		return err
	}
	mark := binDir + "/.bundle"
	if text, err := os.ReadFile(mark); err == nil && string(text) == id {
		return nil
	}
	old := fmt.Sprintf("%s.old.%d", binDir, os.Getpid())
	if engine.Exists(binDir) {
		if err := os.Rename(binDir, old); err != nil {
			return err
		}
		defer os.RemoveAll(old)
	}
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return err
	}
	if err := engine.Unpack(binDir); err != nil {
		return err
	}
	return engine.WriteFile(mark, []byte(id), 0o644)
}

func listImages(settings *engine.Settings, _ []string) error {
	config, err := readConfig(settings.Text("config", ""))
	if err != nil {
		return err
	}
	images := []string{pauseImage}
	_ = config
	for _, image := range images {
		fmt.Println(image)
	}
	return nil
}

func dataDirOf(settings *engine.Settings, flags map[string]engine.Kind) string {
	if _, known := flags["data-dir"]; !known {
		return dataDir
	}
	return settings.Text("data-dir", dataDir)
}
