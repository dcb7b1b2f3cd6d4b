package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"slipway.test/standins/engine"
)

// Names that k3s uses. Source: k3s, pkg/etcd/metadata_controller.go, pkg/nodepassword.
const (
	memberName     = "etcd.k3s.cattle.io/node-name"
	memberAddress  = "etcd.k3s.cattle.io/node-address"
	finalizer      = "wrangler.cattle.io/managed-etcd-controller"
	etcdLabel      = "node-role.kubernetes.io/etcd"
	passwordSuffix = ".node-password.k3s"
	// Source: k3s, pkg/nodeconfig/nodeconfig.go. Of agents the stand-in has none.
	argsAnnotation = "k3s.io/node-args"
)

// labelNode gives this server's node its roles, and says which member of etcd it is.
func (s *serverState) labelNode(ctx context.Context) error {
	node, err := s.admin.Node(ctx, s.name)
	if err != nil {
		return err
	}
	labels := map[string]string{"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/master": "true"}
	annotations := map[string]string{argsAnnotation: s.settings.Arguments("server", "token", "agent-token")}
	metadata := map[string]any{"labels": labels, "annotations": annotations}
	if s.embedded {
		labels[etcdLabel] = "true"
		annotations[memberName], annotations[memberAddress] = s.etcd.Name, s.address
		metadata["finalizers"] = []string{finalizer}
	}
	for name, value := range labels {
		if node.Metadata.Labels[name] != value || node.Metadata.Annotations[memberName] != annotations[memberName] ||
			node.Metadata.Annotations[argsAnnotation] != annotations[argsAnnotation] {
			if node.Metadata.DeletionTimestamp != nil {
				return nil
			}
			return s.admin.Patch(ctx, "/api/v1/nodes/"+s.name, map[string]any{"metadata": metadata})
		}
	}
	return nil
}

// forgetMembers takes the members of etcd out whose nodes are being deleted, and then lets the nodes go.
func (s *serverState) forgetMembers(ctx context.Context) error {
	nodes, err := s.admin.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if node.Metadata.DeletionTimestamp == nil || !strings.Contains(strings.Join(node.Metadata.Finalizers, " "), finalizer) {
			continue
		}
		members, err := s.etcd.Members(ctx, s.etcd.LocalURL())
		if err != nil {
			return err
		}
		for _, member := range members {
			if member.Name == node.Metadata.Annotations[memberName] && member.AddressOf() == node.Metadata.Annotations[memberAddress] {
				engine.Logf("level=info msg=\"Removing etcd member %s from cluster\"", member.Name)
				if err := s.etcd.Remove(ctx, s.etcd.LocalURL(), member.ID); err != nil {
					return err
				}
			}
		}
		if err := s.admin.Patch(ctx, "/api/v1/nodes/"+node.Metadata.Name, map[string]any{"metadata": map[string]any{"finalizers": nil}}); err != nil {
			return err
		}
	}
	return nil
}

// registerPassword keeps the password of a node, and refuses another one for the same name.
func (s *serverState) registerPassword(ctx context.Context, name, password string) error {
	path := "/api/v1/namespaces/kube-system/secrets"
	hash := engine.CAHash([]byte(name + ":" + password))
	text, err := s.admin.Get(ctx, path+"/"+name+passwordSuffix)
	if status, ok := err.(*engine.StatusError); ok && status.Code == 404 {
		return s.admin.Create(ctx, path, map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name + passwordSuffix, "namespace": "kube-system"},
			"data": map[string]string{"hash": base64.StdEncoding.EncodeToString([]byte(hash))},
		})
	}
	if err != nil {
		return err
	}
	var secret struct{ Data map[string][]byte }
	if err := json.Unmarshal(text, &secret); err != nil {
		return err
	}
	if !engine.SameSecret(string(secret.Data["hash"]), hash) {
		return fmt.Errorf("Node password rejected, duplicate hostname or contents of '%s' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag", passwordFile)
	}
	return nil
}

// forgetPasswords deletes the passwords of nodes that were there and are gone.
func (s *serverState) forgetPasswords(ctx context.Context) error {
	nodes, err := s.admin.Nodes(ctx)
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, node := range nodes {
		now[node.Metadata.Name] = true
	}
	for name := range s.seen {
		if !now[name] {
			if err := s.admin.Delete(ctx, "/api/v1/namespaces/kube-system/secrets/"+name+passwordSuffix); err != nil {
				return err
			}
		}
	}
	s.seen = now
	return nil
}
