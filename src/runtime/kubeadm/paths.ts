/** Files of a host that kubeadm and this driver agree on. */
export const PATHS = {
  admin: '/etc/kubernetes/admin.conf',
  kubelet: '/etc/kubernetes/kubelet.conf',
  pki: '/etc/kubernetes/pki',
  manifests: '/etc/kubernetes/manifests',
  caCertificate: '/etc/kubernetes/pki/ca.crt',
  /** With a token in it; there only while a kubelet asks for a certificate. */
  bootstrapKubelet: '/etc/kubernetes/bootstrap-kubelet.conf',
  /** What `kubeadm init` was given. No secret of ours is in it; kept so that a person can see it. */
  initConfig: '/etc/kubernetes/kubeadm.yaml',
  /** Says that this is a whole master: what is found beside it is a cluster, not the remains of a broken start. */
  complete: '/etc/kubernetes/slipway-complete',
  /** With secrets in them; in memory (tmpfs), and removed as soon as kubeadm has ended. */
  joinConfig: '/run/slipway/kubeadm-join.yaml',
  discovery: '/run/slipway/kubeadm-discovery.conf',
  uploadCertsConfig: '/run/slipway/kubeadm-upload-certs.yaml',
  /** One word: the cgroup driver that `init.sh` set the container runtime up with. */
  cgroupDriver: '/etc/slipway/cgroup-driver',
  rootKubeconfig: '/root/.kube/config',
} as const;
