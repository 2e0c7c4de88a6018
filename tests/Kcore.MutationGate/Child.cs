using System.Diagnostics;

namespace Kcore.MutationGate;

/// <summary>How a process ended.</summary>
/// <param name="ExitCode">Null when it was stopped at its time limit.</param>
internal sealed record ChildOutcome(int? ExitCode, string Output);

/// <summary>Processes with a time limit; none outlives its call.</summary>
internal static class Child
{
    public static async Task<ChildOutcome> RunAsync(
        string program,
        IEnumerable<string> arguments,
        string directory,
        TimeSpan limit,
        CancellationToken token,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(token);
        limited.CancelAfter(limit);
        Task<string> output = process.StandardOutput.ReadToEndAsync(token);
        Task<string> error = process.StandardError.ReadToEndAsync(token);
        try
        {
            await process.WaitForExitAsync(limited.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            token.ThrowIfCancellationRequested();
            return new ChildOutcome(null, await output + await error);
        }

        return new ChildOutcome(process.ExitCode, await output + await error);
    }
}
