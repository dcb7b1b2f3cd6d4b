package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"slipway.test/standins/engine"
)

const (
	containerdFile = "/etc/k0s/containerd.toml"
	dropIns        = "/etc/k0s/containerd.d"
	managed        = "# k0s_managed=true"
	placeholder    = "\n# This is a placeholder configuration for k0s managed containerD.\nversion = 2\n"
)

// writeContainerdConfig does with containerd's settings what k0s of this version does, and gives the file for containerd. Drop-ins are
// merged with what k0s says itself; those of the wrong format keep it from starting.
func writeContainerdConfig() (string, error) {
	text, err := os.ReadFile(containerdFile)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	if !atLeast(1, 27, 1) {
		if os.IsNotExist(err) {
			return containerdFile, engine.WriteFile(containerdFile, []byte(placeholder), 0o644)
		}
		// containerd merges what is in it with its own defaults
		return containerdFile, nil
	}
	if err == nil && !strings.HasPrefix(string(text), managed) && string(text) != placeholder {
		engine.Logf("level=info msg=\"containerd config file %s is not k0s managed, skipping config generation\"", containerdFile)
		return containerdFile, nil
	}
	tables := map[string][]string{
		`plugins."io.containerd.grpc.v1.cri"`:     {fmt.Sprintf("sandbox_image = %q", pauseImage)},
		`plugins."io.containerd.grpc.v1.cri".cni`: {`bin_dir = "/opt/cni/bin"`, `conf_dir = "/etc/cni/net.d"`},
	}
	files, err := filepath.Glob(dropIns + "/*.toml")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if err := addDropIn(tables, file); err != nil {
			return "", err
		}
	}
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	sort.Strings(names)
	lines := []string{"version = 2"}
	for _, name := range names {
		lines = append(lines, "["+name+"]")
		lines = append(lines, tables[name]...)
	}
	merged := runDir + "/containerd-cri.toml"
	if err := engine.WriteFile(merged, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dropIns, 0o755); err != nil {
		return "", err
	}
	return merged, engine.WriteFile(containerdFile, []byte(managed+"\nversion = 2\nimports = [\n\t\""+merged+"\",\n]\n"), 0o644)
}

// addDropIn adds the tables of a file. Since v1.36 (containerd 2) they have other names; the containerd inside is an older one.
func addDropIn(tables map[string][]string, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	format := "version = 2"
	if atLeast(1, 36, 0) {
		format = "version = 3"
	}
	table := ""
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "version"):
			if line != format {
				return fmt.Errorf("%s:%d: %s, must be %s", file, number+1, line, format)
			}
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			table = strings.Trim(line, "[]")
			if old := strings.Contains(table, "io.containerd.grpc.v1.cri"); old == atLeast(1, 36, 0) {
				return fmt.Errorf("%s:%d: this version of containerd does not know %s", file, number+1, table)
			}
			for _, name := range []string{"io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"} {
				table = strings.ReplaceAll(table, name, "io.containerd.grpc.v1.cri")
			}
		case table != "" && strings.Contains(line, "="):
			tables[table] = append(tables[table], line)
		default:
			return fmt.Errorf("%s:%d: the stand-in does not read %q", file, number+1, line)
		}
	}
	return nil
}
