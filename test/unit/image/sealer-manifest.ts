// Written from sealer's Go structs (pkg/define/image/v1, pkg/define/application/v1) in the order and with the omissions of encoding/json, as
// "sealer build --type app-installer" annotates an image.
const extension =
  '{"buildClient":{"sealerVersion":"v0.10.0","buildahVersion":"1.26.0"},"schemaVersion":"v1alpha1","type":"app-installer",' +
  '"applications":[{"name":"yamlapp","type":"kube","files":["/a.yaml","/sub/b.yaml"],"version":"v1"},' +
  '{"name":"chart","type":"helm","files":["chart"],"version":"v1","env":{"replicas":"3"}},' +
  '{"name":"mixedapp","version":"v1","cmds":["kubectl apply -f app.yaml"]}],' +
  '"env":{"globalKey":"globalValue"},"launch":{"app_names":["mixedapp","yamlapp","chart"]}}';
const images =
  '[{"image":"docker.io/library/nginx:1.25","appName":"yamlapp","platform":{"architecture":"amd64","os":"linux"}},' +
  '{"image":"docker.io/library/busybox:1.36","platform":{"architecture":"amd64","os":"linux"}}]';

/** The manifest of an image that sealer 0.10 built, with its annotations. */
export const SEALER_MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: `sha256:${'c'.repeat(64)}`,
    size: 700,
  },
  layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${'a'.repeat(64)}`, size: 900 }],
  annotations: { 'sealer.image.extension': extension, 'sealer.image.container.images': images },
});
