/**
 * A Perl program (for single quotes) that makes system calls by number and prints the error numbers. Their numbers are
 * written down here again, so that a wrong one in the profile is found.
 */
export const SYSTEM_CALLS = `
sub call { my ($name, $number, @arguments) = @_; my $r = syscall($number, @arguments); print "$name ", ($r < 0 ? $! + 0 : "done"), "\\n" }
my $x64 = ${process.arch === 'x64' ? 1 : 0};
call("keyctl", $x64 ? 250 : 219, 0, -3, 0);
call("add_key", $x64 ? 248 : 217, "user", "slipway", "x", 1, -2);
call("bpf", $x64 ? 321 : 280, 0, 0, 0);
call("perf_event_open", $x64 ? 298 : 241, 0, 0, -1, -1, 0);
call("userfaultfd", $x64 ? 323 : 282, 1);
call("io_uring_setup", 425, 0, 0);
call("open_by_handle_at", $x64 ? 304 : 265, 0, 0, 0);
call("mount", $x64 ? 165 : 40, "x", "/", "tmpfs", 0, 0);
call("fsopen", 430, "tmpfs", 0);
call("unshare nothing", $x64 ? 272 : 97, 0);
call("clone3", 435, 0, 0);
call("clone new user", $x64 ? 56 : 220, 0x10000011, 0, 0, 0, 0);
call("socket vsock", $x64 ? 41 : 198, 40, 1, 0);
call("socket alg", $x64 ? 41 : 198, 38, 5, 0);
call("socket unix", $x64 ? 41 : 198, 1, 1, 0);
call("ioctl TIOCSTI", $x64 ? 16 : 29, 0, 0x5412, "x");
call("getppid", $x64 ? 110 : 173);
`;

/** EPERM, ENOSYS or EAFNOSUPPORT; without the filter most would answer something else, even to nobody special. */
export const REFUSALS = [
  'keyctl 1',
  'add_key 1',
  'bpf 1',
  'perf_event_open 1',
  'userfaultfd 1',
  'io_uring_setup 38',
  'open_by_handle_at 1',
  'mount 1',
  'fsopen 1',
  'unshare nothing 1',
  'clone3 38',
  'clone new user 1',
  'socket vsock 97',
  'socket alg 97',
  'socket unix done',
  'ioctl TIOCSTI 1',
  'getppid done',
];
