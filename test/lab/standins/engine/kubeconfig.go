package engine

import (
	"encoding/base64"
	"fmt"
	"os"
)

// Kubeconfig is what a client needs to ask an API server.
type Kubeconfig struct {
	Server   string
	CAFile   string
	CertFile string
	KeyFile  string
	// Name of cluster, user and context: `default`.
	Name string
	// The certificates themselves instead of the names of their files.
	Embed bool
}

// WriteKubeconfig writes it, for its owner alone.
func WriteKubeconfig(file string, k Kubeconfig) error {
	if k.Name == "" {
		k.Name = "default"
	}
	ca, cert, key := "certificate-authority: "+k.CAFile, "client-certificate: "+k.CertFile, "client-key: "+k.KeyFile
	if k.Embed {
		var err error
		if ca, err = embedded("certificate-authority-data", k.CAFile); err != nil {
			return err
		}
		if cert, err = embedded("client-certificate-data", k.CertFile); err != nil {
			return err
		}
		if key, err = embedded("client-key-data", k.KeyFile); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    %s
    server: %s
  name: %s
contexts:
- context:
    cluster: %s
    user: %s
  name: %s
current-context: %s
kind: Config
preferences: {}
users:
- name: %s
  user:
    %s
    %s
`, ca, k.Server, k.Name, k.Name, k.Name, k.Name, k.Name, k.Name, cert, key)
	return WriteFile(file, []byte(text), 0o600)
}

func embedded(field, file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return field + ": " + base64.StdEncoding.EncodeToString(text), nil
}
