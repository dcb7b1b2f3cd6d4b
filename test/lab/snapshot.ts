/**
 * A command that prints what an installation could leave behind on a host: files, units, links, mounts, firewall, processes. Not what the host
 * does by itself, such as the backups that Debian makes at midnight.
 */
export const HOST_SNAPSHOT = `
  find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/tmp -o -path /var/lib/systemd -o -path /var/cache -o -path /var/backups \\) -prune -o -print | sort
  find /var/lib -xdev -not -path '/var/lib/systemd*' | sort
  ls -A /run/lock /run/slipway 2>/dev/null
  cat /etc/hosts /etc/fstab 2>/dev/null; ls -A /root
  ip -o link | awk '{print $2}' | sed 's/@.*//' | sort
  iptables-save 2>/dev/null | grep -E 'KUBE|CNI|FLANNEL|SLIPWAY' | sort
  ip -4 route | sort
  systemctl list-unit-files --no-legend --no-pager | awk '{print $1, $2}' | sort
  grep -E ' /(var/lib/kubelet|run/containerd|run/netns)' /proc/mounts
  ps -eo comm | grep -E '^(kube|etcd|containerd|registry|pause|coredns)' | sort
  true`;
