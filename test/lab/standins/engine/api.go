package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// API asks an API server with a client certificate.
type API struct {
	URL                       string
	CAFile, CertFile, KeyFile string
	client                    *http.Client
}

// Node is what is asked of a node here.
type Node struct {
	Metadata struct {
		Name              string            `json:"name"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
		Finalizers        []string          `json:"finalizers"`
		DeletionTimestamp *string           `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR string `json:"podCIDR"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Address string `json:"address"`
			Type    string `json:"type"`
		} `json:"addresses"`
	} `json:"status"`
}

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Text) }

// Get asks for a path.
func (a *API) Get(ctx context.Context, path string) ([]byte, error) {
	return a.do(ctx, "GET", path, "", nil)
}

// Patch merges (RFC 7396) into an object.
func (a *API) Patch(ctx context.Context, path string, patch any) error {
	_, err := a.do(ctx, "PATCH", path, "application/merge-patch+json", patch)
	return err
}

// Create makes an object.
func (a *API) Create(ctx context.Context, path string, object any) error {
	_, err := a.do(ctx, "POST", path, "application/json", object)
	return err
}

// Delete takes an object away; one that is not there is no error.
func (a *API) Delete(ctx context.Context, path string) error {
	_, err := a.do(ctx, "DELETE", path, "", nil)
	if status, ok := err.(*StatusError); ok && status.Code == 404 {
		return nil
	}
	return err
}

// Nodes lists the nodes.
func (a *API) Nodes(ctx context.Context) ([]Node, error) {
	text, err := a.Get(ctx, "/api/v1/nodes")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []Node `json:"items"`
	}
	return list.Items, json.Unmarshal(text, &list)
}

// Node asks for one node.
func (a *API) Node(ctx context.Context, name string) (Node, error) {
	var node Node
	text, err := a.Get(ctx, "/api/v1/nodes/"+name)
	if err != nil {
		return node, err
	}
	return node, json.Unmarshal(text, &node)
}

func (a *API) do(ctx context.Context, method, path, contentType string, body any) ([]byte, error) {
	if a.client == nil {
		client, err := newClient(a.CAFile, a.CertFile, a.KeyFile)
		if err != nil {
			return nil, err
		}
		a.client = client
	}
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		return nil, &StatusError{answer.StatusCode, string(text)}
	}
	return text, err
}

func newClient(caFile, certFile, keyFile string) (*http.Client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: pool}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}, nil
}
