using System.ComponentModel;
using System.Diagnostics;
using Kcore.Netlink;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// wireguard-go as a child of this daemon, where there is no systemd. A daemon that ends, however it ends, leaves it running;
/// the next one finds it by command line and namespace. Nodes of one machine would meet at the path of its socket, so each
/// gets the directory to itself.
/// </summary>
internal sealed class ChildTunnelSupervisor(HomeNamespace home) : ITunnelSupervisor
{
    public TimeSpan Grace => TimeSpan.Zero;

    public Task<string?> StartAsync(CancellationToken token) => Task.FromResult(Start());

    public Task StopAsync(CancellationToken token) => Task.CompletedTask;

    private string? Start()
    {
        ProcessStartInfo start = new(TunnelProcess.Program, TunnelProcess.Arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };

        // It outlives the pipes to this daemon, and a word into a broken pipe would be its end.
        start.Environment["LOG_LEVEL"] = "silent";
        start.Environment["WG_PROCESS_FOREGROUND"] = "1";

        // The runtime reaps children it started, also those nobody holds any more.
        using Process process = new() { StartInfo = start };
        try
        {
            home.Run(() => PrivateDirectory.Run(TunnelProcess.SocketDirectory, process.Start));
        }
        catch (Exception e) when (e is Win32Exception or NetlinkException or IOException or UnauthorizedAccessException)
        {
            return $"{TunnelProcess.Program} could not be started: {e.Message}";
        }

        process.StandardInput.Close();
        return null;
    }
}
