package engine

import (
	"context"
	"path/filepath"
	"time"
)

// ControlPlane is API server, controller manager and scheduler of one host: the real ones.
type ControlPlane struct {
	Bin string
	// Where the API server listens on this host, and the address that it tells others.
	BindAddress, AdvertiseAddress string
	Port                          string
	EtcdServers                   string
	EtcdCA, EtcdCert, EtcdKey     string
	// Authorities and keys.
	ServerCert, ServerKey                           string
	ClientCA                                        string
	ServerCA                                        string
	SigningCert, SigningKey                         string
	KubeletClientCert                               string
	KubeletClientKey                                string
	RequestHeaderCA                                 string
	ProxyClientCert                                 string
	ProxyClientKey                                  string
	ServiceKey                                      string
	ControllerKubeconfig                            string
	SchedulerKubeconfig                             string
	ClusterCIDR, ServiceCIDR                        string
	ExtraAPIServer, ExtraController, ExtraScheduler []string
	// Whether tokens of kubeadm's form let nodes in.
	BootstrapTokens bool
}

// Start starts the API server, waits until it is ready, then the others.
func (c *ControlPlane) Start(family *Family, admin *API) error {
	args := []string{
		"--bind-address=" + c.BindAddress, "--advertise-address=" + c.AdvertiseAddress, "--secure-port=" + c.Port,
		"--etcd-servers=" + c.EtcdServers, "--etcd-cafile=" + c.EtcdCA, "--etcd-certfile=" + c.EtcdCert, "--etcd-keyfile=" + c.EtcdKey,
		"--tls-cert-file=" + c.ServerCert, "--tls-private-key-file=" + c.ServerKey, "--client-ca-file=" + c.ClientCA,
		"--kubelet-certificate-authority=" + c.ServerCA,
		"--kubelet-client-certificate=" + c.KubeletClientCert, "--kubelet-client-key=" + c.KubeletClientKey,
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--requestheader-client-ca-file=" + c.RequestHeaderCA, "--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.ProxyClientCert, "--proxy-client-key-file=" + c.ProxyClientKey,
		"--service-account-key-file=" + c.ServiceKey, "--service-account-signing-key-file=" + c.ServiceKey,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-cluster-ip-range=" + c.ServiceCIDR, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false", "--anonymous-auth=false", "--storage-backend=etcd3",
	}
	if c.BootstrapTokens {
		args = append(args, "--enable-bootstrap-token-auth=true")
	}
	if err := family.Start("kube-apiserver", filepath.Join(c.Bin, "kube-apiserver"), append(args, c.ExtraAPIServer...)...); err != nil {
		return err
	}
	if err := family.WaitUntil("the API server", 4*time.Minute, func(ctx context.Context) error {
		_, err := admin.Get(ctx, "/readyz")
		return err
	}); err != nil {
		return err
	}
	controller := append([]string{
		"--kubeconfig=" + c.ControllerKubeconfig, "--authentication-kubeconfig=" + c.ControllerKubeconfig,
		"--authorization-kubeconfig=" + c.ControllerKubeconfig, "--bind-address=127.0.0.1", "--allocate-node-cidrs=true",
		"--cluster-cidr=" + c.ClusterCIDR, "--service-cluster-ip-range=" + c.ServiceCIDR,
		"--cluster-signing-cert-file=" + c.SigningCert, "--cluster-signing-key-file=" + c.SigningKey,
		"--root-ca-file=" + c.ServerCA, "--service-account-private-key-file=" + c.ServiceKey,
		"--use-service-account-credentials=true", "--controllers=*,bootstrapsigner,tokencleaner", "--profiling=false",
	}, c.ExtraController...)
	if err := family.Start("kube-controller-manager", filepath.Join(c.Bin, "kube-controller-manager"), controller...); err != nil {
		return err
	}
	scheduler := append([]string{
		"--kubeconfig=" + c.SchedulerKubeconfig, "--authentication-kubeconfig=" + c.SchedulerKubeconfig,
		"--authorization-kubeconfig=" + c.SchedulerKubeconfig, "--bind-address=127.0.0.1", "--profiling=false",
	}, c.ExtraScheduler...)
	return family.Start("kube-scheduler", filepath.Join(c.Bin, "kube-scheduler"), scheduler...)
}
