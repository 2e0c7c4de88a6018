using System.Net.Sockets;
using System.Text;
using Kcore.Daemon.Systemd;
using Kcore.TestKit;

namespace Kcore.Daemon.Tests.Systemd;

public sealed class SystemdNotifierTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kcore-sd-").FullName;
    private readonly SteppedTime _time = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_manager_hears_ready_status_and_stopping_on_path_and_abstract_sockets(bool isAbstract)
    {
        string address = isAbstract ? $"@kcore-test-{Guid.NewGuid():N}" : Path.Combine(_directory, "notify");
        using Socket manager = Listen(address);
        using var notifier = new SystemdNotifier(Environment(("NOTIFY_SOCKET", address)), 1, _time);

        notifier.Ready("1 member");
        notifier.Status("two\nlines");
        notifier.Stopping();

        Assert.Equal("READY=1\nSTATUS=1 member", Receive(manager));
        Assert.Equal("STATUS=two lines", Receive(manager));
        Assert.Equal("STOPPING=1", Receive(manager));
        Assert.Null(notifier.WatchdogInterval);
    }

    [Fact]
    public async Task The_watchdog_is_fed_at_half_its_time_and_only_while_alive()
    {
        string address = Path.Combine(_directory, "notify");
        using Socket manager = Listen(address);
        using var notifier = new SystemdNotifier(
            Environment(("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", "10000000"), ("WATCHDOG_PID", "42")), 42, _time);
        bool alive = true;
        int asked = 0;
        using var stop = new CancellationTokenSource();
        Task feeding = notifier.RunWatchdogAsync(
            () =>
            {
                Interlocked.Increment(ref asked);
                return alive;
            },
            stop.Token);

        Assert.Equal(TimeSpan.FromSeconds(5), notifier.WatchdogInterval);
        Assert.Equal("WATCHDOG=1", Receive(manager));
        await WaitForAskAsync(2);
        Assert.Equal("WATCHDOG=1", Receive(manager));
        alive = false;
        await WaitForAskAsync(3);
        Assert.Equal(0, manager.Available);
        await stop.CancelAsync();
        await feeding;

        async Task WaitForAskAsync(int times)
        {
            _time.Advance(TimeSpan.FromSeconds(5));
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while (Volatile.Read(ref asked) < times)
            {
                limit.Token.ThrowIfCancellationRequested();
                await Task.Yield();
            }
        }
    }

    [Fact]
    public void A_watchdog_meant_for_another_process_is_left_alone()
    {
        string address = Path.Combine(_directory, "notify");
        using Socket manager = Listen(address);
        using var notifier = new SystemdNotifier(
            Environment(("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", "10000000"), ("WATCHDOG_PID", "43")), 42, _time);

        Assert.Null(notifier.WatchdogInterval);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("relative")]
    [InlineData("@")]
    [InlineData("/nowhere/at/all")]
    [InlineData("vsock:2:9999")]
    public void Without_a_manager_that_listens_nothing_happens(string? address)
    {
        using var notifier = new SystemdNotifier(_ => address, 1, _time);

        notifier.Ready("x");
        notifier.Stopping();
    }

    [Fact]
    public void A_manager_that_goes_away_does_not_hurt()
    {
        string address = Path.Combine(_directory, "notify");
        Socket manager = Listen(address);
        using var notifier = new SystemdNotifier(Environment(("NOTIFY_SOCKET", address)), 1, _time);
        manager.Dispose();

        notifier.Status("x");
    }

    [Theory]
    [InlineData(true, "systemd\n", SupervisorKind.Systemd)]
    [InlineData(false, "systemd\n", SupervisorKind.Process)]
    [InlineData(true, "init\n", SupervisorKind.Process)]
    [InlineData(true, null, SupervisorKind.Process)]
    internal void Systemd_supervises_only_where_it_is_the_first_process(bool booted, string? first, SupervisorKind expected)
    {
        if (booted)
        {
            Directory.CreateDirectory(Path.Combine(_directory, "run/systemd/system"));
        }

        if (first is not null)
        {
            Directory.CreateDirectory(Path.Combine(_directory, "proc/1"));
            File.WriteAllText(Path.Combine(_directory, "proc/1/comm"), first);
        }

        Assert.Equal(expected, SupervisorDetection.Detect(_directory));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static Func<string, string?> Environment(params (string Name, string Value)[] variables) =>
        name => Array.Find(variables, v => v.Name == name).Value;

    private static Socket Listen(string address)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(address[0] == '@' ? "\0" + address[1..] : address));
        socket.ReceiveTimeout = 10_000;
        return socket;
    }

    private static string Receive(Socket socket)
    {
        byte[] buffer = new byte[4_096];
        return Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer));
    }
}
