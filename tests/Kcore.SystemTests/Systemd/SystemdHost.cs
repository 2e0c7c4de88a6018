using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>One Debian 12 host: systemd as PID 1, and disk, journal, udev, D-Bus and network of its own.</summary>
internal sealed class SystemdHost : IAsyncDisposable
{
    private const string SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private readonly OwnedProcess _owner;

    private readonly string _notify;

    private SystemdHost(string name, IPAddress address, OwnedProcess owner, string notify, int leader)
    {
        Name = name;
        Address = address;
        _owner = owner;
        _notify = notify;
        Leader = leader;
    }

    public string Name { get; }

    public IPAddress Address { get; }

    /// <summary>The host's PID 1, as this machine numbers it.</summary>
    public int Leader { get; private set; }

    /// <summary>Boots a host and returns when its systemd has reached its default target.</summary>
    /// <param name="number">1 to 99: gives name, address and MAC.</param>
    /// <param name="switchPid">A process in the namespace of the switch.</param>
    public static async Task<SystemdHost> BootAsync(
        int number, HostImage image, ControlGroups groups, int switchPid, TimeSpan within)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"h{number}");
        IPAddress address = SystemdLan.AddressOf(number);
        string directory = $"/run/kcore-test/{Environment.ProcessId}-{name}";
        Directory.CreateDirectory(directory);
        string notify = directory + ".notify";
        using Socket socket = Listen(notify);
        OwnedProcess owner = OwnedProcess.Start(
            HostScripts.Ended,
            ["--mount", "--propagation", "slave"],
            HostScripts.Owner,
            [
                name, image.Root, directory, notify, switchPid.ToString(CultureInfo.InvariantCulture),
                $"{address}/{SystemdLan.PrefixLength}", SystemdLan.Router.ToString(), string.Create(CultureInfo.InvariantCulture, $"02:00:00:77:00:{number:00}"),
                .. groups.For(name),
            ],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["FIRST"] = HostScripts.First, ["BOOT"] = HostScripts.Boot });
        try
        {
            return new SystemdHost(name, address, owner, notify, await WaitReadyAsync(socket, owner, name, within));
        }
        catch
        {
            await owner.DisposeAsync();
            throw;
        }
        finally
        {
            File.Delete(notify);
        }
    }

    /// <summary>
    /// Pulls the plug and boots again from the same disk: every process dies at once, and the network namespace goes as
    /// memory does. (What was written but not flushed survives here, unlike in a real loss of power.)
    /// </summary>
    public async Task PowerCycleAsync(TimeSpan within)
    {
        using Socket socket = Listen(_notify);
        try
        {
            await _owner.OrderAsync(HostScripts.PowerCycle);
            Leader = await WaitReadyAsync(socket, _owner, Name, within);
        }
        finally
        {
            File.Delete(_notify);
        }
    }

    /// <summary>Runs a program of the host inside it, as root.</summary>
    public Task<CommandResult> TryAsync(params IReadOnlyList<string> command) => TryAsync(command, limit: null);

    /// <inheritdoc cref="TryAsync(IReadOnlyList{string})"/>
    public Task<CommandResult> TryAsync(IReadOnlyList<string> command, TimeSpan? limit) =>
        Command.RunAsync("nsenter", Enter(command), limit: limit);

    /// <summary>Runs a program that has to succeed.</summary>
    /// <returns>Its standard output.</returns>
    public async Task<string> RunAsync(params IReadOnlyList<string> command) => (await TryAsync(command)).OrThrow().Stdout;

    /// <summary>Runs a program in a network namespace of the host (<c>ip netns</c>).</summary>
    public Task<CommandResult> InNetnsAsync(string netns, params IReadOnlyList<string> command) =>
        TryAsync(["ip", "netns", "exec", netns, .. command]);

    /// <summary>Starts a program that runs beside the test; what it says is appended to the file.</summary>
    public BackgroundProcess Start(IReadOnlyList<string> command, string logPath) =>
        BackgroundProcess.Start("nsenter", Enter(command), logPath);

    /// <summary>Where a path of the host is seen from outside.</summary>
    public string PathOf(string path) =>
        string.Create(CultureInfo.InvariantCulture, $"/proc/{Leader}/root/{path.TrimStart('/')}");

    /// <summary>The journal of a unit, for the message of a failed expectation.</summary>
    public async Task<string> JournalAsync(string unit) =>
        $"journal of {unit} on {Name}:\n{(await TryAsync("journalctl", "--no-pager", "-o", "short-precise", "-n", "60", "-u", unit)).Stdout}";

    public ValueTask DisposeAsync() => _owner.DisposeAsync();

    private static Socket Listen(string path)
    {
        File.Delete(path);
        Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    // systemd-nspawn passes on the notifications of the host's PID 1 and adds its process id as seen from here.
    private static async Task<int> WaitReadyAsync(Socket socket, OwnedProcess owner, string name, TimeSpan within)
    {
        using CancellationTokenSource deadline = new(within);
        byte[] buffer = new byte[4096];
        int leader = 0;
        while (true)
        {
            Task<int> receive = socket.ReceiveAsync(buffer, SocketFlags.None, deadline.Token).AsTask();
            if (await Task.WhenAny(receive, owner.Cue) != receive)
            {
                await deadline.CancelAsync();
                throw new InvalidOperationException($"{name} did not boot:\n{owner.Output}");
            }

            int length;
            try
            {
                length = await receive;
            }
            catch (OperationCanceledException e)
            {
                throw new TimeoutException($"{name} was not up within {within.TotalSeconds:0} s:\n{owner.Output}", e);
            }

            foreach (string line in Encoding.UTF8.GetString(buffer, 0, length).Split('\n'))
            {
                if (line.Split('=', 2) is ["X_NSPAWN_LEADER_PID", var pid])
                {
                    leader = int.Parse(pid, CultureInfo.InvariantCulture);
                }
                else if (line is "READY=1" && leader != 0)
                {
                    return leader;
                }
            }
        }
    }

    private List<string> Enter(IReadOnlyList<string> command) =>
    [
        "--target", Leader.ToString(CultureInfo.InvariantCulture),
        "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wd=/",
        "env", "-i", $"PATH={SearchPath}", "HOME=/root", "LANG=C.UTF-8", .. command,
    ];
}
