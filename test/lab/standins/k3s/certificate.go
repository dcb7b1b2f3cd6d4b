package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway.test/standins/engine"
)

// certificate does what `k3s certificate rotate` does: keeps what is there, and takes all away but the authorities and the key of service
// accounts; k3s makes them anew when it starts. Source: k3s, pkg/cli/cert/cert.go.
func certificate(args []string) error {
	if !(atLeast(1, 22, 5) || (atLeast(1, 21, 8) && !atLeast(1, 22, 0)) || (atLeast(1, 20, 14) && !atLeast(1, 21, 0))) {
		usage("certificate")
	}
	if len(args) == 0 || args[0] != "rotate" {
		return fmt.Errorf("No help topic for certificate %s", strings.Join(args, " "))
	}
	settings := engine.NewSettings(map[string]engine.Kind{"data-dir": engine.Text, "debug": engine.Flag})
	if rest, err := settings.ParseFlags(args[1:]); err != nil || len(rest) > 0 {
		return fmt.Errorf("Incorrect Usage: %v %v", err, rest)
	}
	for _, unit := range []string{"k3s.service", "k3s-agent.service"} {
		if exec.Command("systemctl", "is-active", "-q", unit).Run() == nil {
			// k3s does it, and writes some of them again before it ends; its documentation says to stop it.
			return fmt.Errorf("%s runs: the stand-in refuses that", unit)
		}
	}
	if !engine.Exists(tlsDir) {
		return fmt.Errorf("%s is not there: the stand-in rotates those of servers alone", tlsDir)
	}
	kept := fmt.Sprintf("%s/tls-%d", serverDir, time.Now().Unix())
	if text, err := exec.Command("cp", "-a", tlsDir, kept).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	for _, pattern := range []string{tlsDir + "/*.crt", tlsDir + "/etcd/*.crt", agentDir + "/*.crt"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "-ca.crt") {
				continue
			}
			for _, one := range []string{file, strings.TrimSuffix(file, ".crt") + ".key"} {
				if err := os.Remove(one); err != nil && !os.IsNotExist(err) {
					return err
				}
			}
		}
	}
	engine.Logf("level=info msg=\"Successfully backed up certificates to %s, please restart k3s server or agent to rotate certificates\"", kept)
	return nil
}
