using System.ComponentModel;
using System.Diagnostics;

namespace Kcore.Daemon.Systemd;

/// <summary>Calls systemctl and systemd-run; none of them is waited for long.</summary>
internal sealed class UnitCommands(TimeProvider time)
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <summary>Returns what went wrong, or null.</summary>
    public async Task<string?> RunAsync(string program, string[] arguments, CancellationToken token)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        using Process process = new() { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            return $"{program} could not be started: {e.Message}";
        }

        process.StandardInput.Close();
        using CancellationTokenSource deadline = new(_patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, token);
        try
        {
            string said = await process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return process.ExitCode == 0 ? null : $"{program} failed: {said.Trim().Split('\n')[0]}";
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            process.Kill();
            return $"{program} did not answer within {_patience.TotalSeconds:0} s";
        }
    }
}
