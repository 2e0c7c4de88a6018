using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Kcore.Daemon.Systemd;

/// <summary>
/// Tells the service manager how the daemon is (sd_notify(3)): one datagram to the socket named by
/// <c>NOTIFY_SOCKET</c>. Without that variable every call does nothing. Failing to tell is never an error of the
/// daemon: the manager notices silence by itself.
/// </summary>
internal sealed class SystemdNotifier : IDisposable
{
    private readonly Socket? _socket;
    private readonly TimeProvider _time;
    private readonly TimeSpan? _watchdogInterval;

    /// <param name="environment">Reads one environment variable.</param>
    /// <param name="processId">Of this process; the watchdog may be meant for another (<c>WATCHDOG_PID</c>).</param>
    public SystemdNotifier(Func<string, string?> environment, int processId, TimeProvider time)
    {
        _time = time;
        _socket = Connect(environment("NOTIFY_SOCKET"));
        _watchdogInterval = _socket is null ? null : ReadWatchdog(environment, processId);
    }

    /// <summary>Half of what the unit's WatchdogSec= allows; null when the unit has no watchdog.</summary>
    public TimeSpan? WatchdogInterval => _watchdogInterval;

    public static SystemdNotifier FromEnvironment(TimeProvider time) =>
        new(Environment.GetEnvironmentVariable, Environment.ProcessId, time);

    /// <summary>Start-up is complete; units ordered after this one may start.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={OneLine(status)}");

    /// <summary>The line <c>systemctl status</c> shows.</summary>
    public void Status(string status) => Send($"STATUS={OneLine(status)}");

    /// <summary>Shutting down has begun.</summary>
    public void Stopping() => Send("STOPPING=1");

    /// <summary>
    /// Feeds the watchdog while <paramref name="isAlive"/> says so, until cancelled. A loop that hangs must make it
    /// say no: then the manager restarts the daemon.
    /// </summary>
    public async Task RunWatchdogAsync(Func<bool> isAlive, CancellationToken stoppingToken)
    {
        if (_watchdogInterval is not { } interval)
        {
            return;
        }

        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            do
            {
                if (isAlive())
                {
                    Send("WATCHDOG=1");
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is how this loop ends.
        }
    }

    public void Dispose() => _socket?.Dispose();

    private static TimeSpan? ReadWatchdog(Func<string, string?> environment, int processId)
    {
        string? meantFor = environment("WATCHDOG_PID");
        if (meantFor is not null && meantFor != processId.ToString(CultureInfo.InvariantCulture))
        {
            return null;
        }

        // The upper bound, a day, keeps nonsense out of the timer.
        return long.TryParse(environment("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long micros)
            && micros is > 1 and <= 86_400_000_000
            ? TimeSpan.FromMicroseconds(micros / 2)
            : null;
    }

    private static Socket? Connect(string? address)
    {
        // '@' stands for the zero byte of Linux's abstract namespace (unix(7)); anything else is an absolute path.
        if (string.IsNullOrEmpty(address) || address[0] is not ('@' or '/'))
        {
            return null;
        }

        string name = address[0] == '@' ? "\0" + address[1..] : address;
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(name));
            socket.Blocking = false;
            return socket;
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            socket.Dispose();
            return null;
        }
    }

    // A line end would start another assignment.
    private static string OneLine(string text) => text.ReplaceLineEndings(" ");

    private void Send(string state)
    {
        try
        {
            _socket?.Send(Encoding.UTF8.GetBytes(state));
        }
        catch (SocketException)
        {
            // The manager restarts or is overrun; the next message tells the same.
        }
    }
}
