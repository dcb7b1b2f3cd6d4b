import type { CommandEntry } from './command-entry.js';

/** Every command, in the order in which help shows them. A command's module is loaded only when it is called. */
export const COMMANDS: readonly CommandEntry[] = [
  ...group('Building:', [
    { names: ['build'], summary: 'build a ClusterImage from a Kubefile', load: () => import('./build.js') },
    { names: ['lint'], summary: 'check a Kubefile without building it', load: () => import('./lint.js') },
    {
      names: ['images-in'],
      summary: 'show the container images that a context or an image needs',
      load: () => import('./images-in.js'),
    },
    { names: ['merge'], summary: 'make one image of several', load: () => import('./merge.js') },
  ]),
  ...group('Images:', [
    { names: ['images', 'ls'], summary: 'list the images of the store', load: () => import('./images.js') },
    { names: ['inspect'], summary: 'show what an image is and what is in it', load: () => import('./inspect.js') },
    { names: ['history'], summary: 'show how an image was made', load: () => import('./history.js') },
    { names: ['diff'], summary: 'show what is different in another image', load: () => import('./diff.js') },
    { names: ['tag'], summary: 'give an image another name', load: () => import('./tag.js') },
    { names: ['rmi'], summary: 'remove images', load: () => import('./rmi.js') },
    { names: ['prune'], summary: 'remove everything that no image needs', load: () => import('./prune.js') },
    { names: ['du'], summary: 'show what takes how much space', load: () => import('./du.js') },
    { names: ['store'], summary: 'check and repair the store', load: () => import('./store.js') },
    { names: ['save'], summary: 'write images to an archive', load: () => import('./save.js') },
    { names: ['load'], summary: 'read images from an archive', load: () => import('./load.js') },
    { names: ['copy'], summary: 'copy an image between any two places', load: () => import('./copy.js') },
    { names: ['mount'], summary: "show an image's rootfs as a directory", load: () => import('./mount.js') },
    { names: ['umount', 'unmount'], summary: 'take a mounted rootfs away', load: () => import('./umount.js') },
    {
      names: ['unshare'],
      summary: 'run a command as root of a user namespace, where it can mount',
      load: () => import('./unshare.js'),
    },
  ]),
  ...group('Registries:', [
    { names: ['login'], summary: 'log in to a registry', load: () => import('./login.js') },
    { names: ['logout'], summary: 'log out of a registry', load: () => import('./logout.js') },
    { names: ['pull'], summary: 'download an image from a registry', load: () => import('./pull.js') },
    { names: ['push'], summary: 'upload an image to a registry', load: () => import('./push.js') },
    { names: ['search'], summary: 'list the repositories of a registry', load: () => import('./search.js') },
    { names: ['tags'], summary: 'list the tags of a repository', load: () => import('./tags.js') },
    {
      names: ['referrers'],
      summary: 'list what refers to an image of a registry',
      load: () => import('./referrers.js'),
    },
    {
      names: ['registry'],
      summary: 'put images into the registry of a cluster; serve the store as one',
      load: () => import('./registry.js'),
    },
  ]),
  ...group('Clusters:', [
    { names: ['run'], summary: 'launch a cluster from an image', load: () => import('./run.js') },
    { names: ['plan'], summary: 'show what apply, or run, would do', load: () => import('./plan.js') },
    { names: ['apply'], summary: 'make a cluster what a Clusterfile says', load: () => import('./apply.js') },
    { names: ['join', 'scale-up'], summary: 'add hosts to a cluster', load: () => import('./join.js') },
    { names: ['delete', 'scale-down'], summary: 'take hosts out of a cluster', load: () => import('./delete.js') },
    { names: ['upgrade'], summary: 'take a cluster to another image', load: () => import('./upgrade.js') },
    { names: ['rollback'], summary: 'take a cluster back to the image before', load: () => import('./rollback.js') },
    { names: ['status'], summary: 'show clusters and how their hosts are', load: () => import('./status.js') },
    { names: ['exec'], summary: 'run a command on the hosts of a cluster', load: () => import('./exec.js') },
    { names: ['check'], summary: 'ask whether a cluster is as it should be', load: () => import('./check.js') },
    {
      names: ['cert'],
      summary: 'show, extend and renew the certificates of a cluster',
      load: () => import('./cert.js'),
    },
    { names: ['reset'], summary: 'take a cluster away again', load: () => import('./reset.js') },
    {
      names: ['gen'],
      summary: 'adopt a cluster that is not known here; print schemas',
      load: () => import('./gen.js'),
    },
  ]),
  ...group('Applications:', [
    {
      names: ['run-app'],
      summary: 'install an application image on a cluster that is up',
      load: () => import('./run-app.js'),
    },
    { names: ['delete-app'], summary: 'take an application off a cluster', load: () => import('./delete-app.js') },
  ]),
  ...group('Other:', [
    { names: ['completion'], summary: 'print shell completion', load: () => import('./completion.js') },
    { names: ['version'], summary: 'print the version', load: () => import('./version.js') },
  ]),
];

function group(heading: string, entries: readonly Omit<CommandEntry, 'group'>[]): CommandEntry[] {
  return entries.map((entry) => ({ ...entry, group: heading }));
}

export function findCommand(name: string): CommandEntry | undefined {
  return COMMANDS.find(({ names }) => names.includes(name));
}
