package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Family is the programs that run under this one. When one of them ends, all of it ends, as with the real thing, whose parts are one
// process; and none survives it, whatever ends it.
type Family struct {
	ctx   context.Context
	stop  context.CancelFunc
	once  sync.Once
	cause error
	wait  sync.WaitGroup
}

// NewFamily begins. SIGTERM and SIGINT end it.
func NewFamily() *Family {
	ctx, stop := context.WithCancel(context.Background())
	family := &Family{ctx: ctx, stop: stop}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		family.Fail(nil)
	}()
	return family
}

// Context ends with the family.
func (f *Family) Context() context.Context { return f.ctx }

// Fail ends the family with an error; the first one counts.
func (f *Family) Fail(err error) {
	f.once.Do(func() {
		f.cause = err
		f.stop()
	})
}

// Start runs a program until the family ends. What it writes is written here, with its name in front.
func (f *Family) Start(name, program string, args ...string) error {
	return f.StartWith(name, nil, program, args...)
}

// StartWith is Start with further environment.
func (f *Family) StartWith(name string, env []string, program string, args ...string) error {
	begun := make(chan error, 1)
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		// The kernel watches the thread that forks, not the process.
		runtime.LockOSThread()
		command := exec.Command(program, args...)
		command.Env = append(os.Environ(), env...)
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		reader, writer := io.Pipe()
		command.Stdout, command.Stderr = writer, writer
		go copyLines(name, reader)
		if err := command.Start(); err != nil {
			begun <- fmt.Errorf("starting %s: %w", name, err)
			return
		}
		begun <- nil
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		select {
		case err := <-ended:
			f.Fail(fmt.Errorf("%s ended: %v", name, err))
		case <-f.ctx.Done():
			_ = command.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(8 * time.Second):
				_ = command.Process.Kill()
				<-ended
			}
		}
		_ = writer.Close()
	}()
	return <-begun
}

// StartPatiently is StartWith for a program that may end some times and is started again: kubelet, which gives up when it is not
// registered in half a minute, as happens on a machine that is busy.
func (f *Family) StartPatiently(name string, env []string, program string, args ...string) error {
	part := NewFamily()
	if err := part.StartWith(name, env, program, args...); err != nil {
		return err
	}
	f.Go(name, func(ctx context.Context) error {
		for tries := 1; ; tries++ {
			select {
			case <-ctx.Done():
				part.Fail(nil)
				_ = part.Wait()
				return nil
			case <-part.ctx.Done():
			}
			if err := part.Wait(); tries == 6 || err == nil {
				return err
			}
			Logf("%s is started again", name)
			part = NewFamily()
			if err := part.StartWith(name, env, program, args...); err != nil {
				return err
			}
		}
	})
	return nil
}

// Go runs a function beside the programs. An error ends the family.
func (f *Family) Go(name string, work func(ctx context.Context) error) {
	f.wait.Add(1)
	go func() {
		defer f.wait.Done()
		if err := work(f.ctx); err != nil && f.ctx.Err() == nil {
			f.Fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
}

// Every does something again and again. Errors are written, and nothing else: it is tried again.
func (f *Family) Every(interval time.Duration, name string, work func(ctx context.Context) error) {
	f.Go(name, func(ctx context.Context) error {
		last := ""
		for {
			if err := work(ctx); err != nil && ctx.Err() == nil && err.Error() != last {
				last = err.Error()
				Logf("%s: %v", name, err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(interval):
			}
		}
	})
}

// Wait waits for the end, and says why it came; nil when it was asked to.
func (f *Family) Wait() error {
	<-f.ctx.Done()
	f.wait.Wait()
	return f.cause
}

// WaitUntil asks until the answer is nil, the family ends, or the time is over.
func (f *Family) WaitUntil(what string, timeout time.Duration, ask func(ctx context.Context) error) error {
	end := time.Now().Add(timeout)
	for {
		err := ask(f.ctx)
		if err == nil {
			return nil
		}
		if f.ctx.Err() != nil {
			if cause := f.cause; cause != nil {
				return cause
			}
			return fmt.Errorf("stopped while waiting for %s", what)
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s: %w", timeout, what, err)
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// NotifyReady tells systemd (Type=notify) that the service is up. Nothing without systemd.
func NotifyReady() error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Write([]byte("READY=1"))
	return err
}

// Logf writes a line to the log.
func Logf(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
}

func copyLines(name string, reader io.Reader) {
	lines := bufio.NewReaderSize(reader, 64*1024)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if line[len(line)-1] != '\n' {
				line += "\n"
			}
			fmt.Fprintf(os.Stderr, "%s: %s", name, line)
		}
		if err != nil {
			return
		}
	}
}
