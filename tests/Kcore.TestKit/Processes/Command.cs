using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Kcore.TestKit.Processes;

/// <summary>Runs one program to its end, without a shell.</summary>
public static class Command
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Runs the program and returns what it said, whatever its exit code.</summary>
    /// <param name="limit">The program is killed after this long and the call fails; null means 60 s.</param>
    public static async Task<CommandResult> RunAsync(
        string file,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string>? environment = null,
        string? input = null,
        TimeSpan? limit = null)
    {
        string line = Describe(file, arguments);
        using Process process = Start(file, arguments, environment);
        long begun = Stopwatch.GetTimestamp();
        Task<string> stdout = process.StandardOutput.ReadToEndAsync();
        Task<string> stderr = process.StandardError.ReadToEndAsync();
        try
        {
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program ended without reading its input; its exit code tells the story.
        }

        using CancellationTokenSource deadline = new(limit ?? Patience);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill();
            throw new TimeoutException($"Not finished after {(limit ?? Patience).TotalSeconds:0.#} s: {line}", e);
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(begun);
        return new CommandResult(line, process.ExitCode, await stdout, await stderr, elapsed);
    }

    /// <summary>Runs the program and fails with its own words unless it exits with 0.</summary>
    /// <returns>Its standard output.</returns>
    public static async Task<string> OutputAsync(string file, params IReadOnlyList<string> arguments) =>
        (await RunAsync(file, arguments)).OrThrow().Stdout;

    internal static Process Start(
        string file, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        ProcessStartInfo start = new(file, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["LC_ALL"] = "C";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            start.Environment[name] = value;
        }

        try
        {
            return Process.Start(start) ?? throw new InvalidOperationException($"Not started: {file}");
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"Cannot start {Describe(file, arguments)}: {e.Message}", e);
        }
    }

    internal static string Describe(string file, IReadOnlyList<string> arguments) =>
        string.Join(' ', [Path.GetFileName(file), .. arguments.Select(Quote)]);

    private static string Quote(string argument) =>
        argument.Length == 0 || argument.Any(char.IsWhiteSpace) ? $"'{argument}'" : argument;
}

/// <summary>What a finished program said.</summary>
/// <param name="Line">The command, for messages.</param>
public sealed record CommandResult(string Line, int ExitCode, string Stdout, string Stderr, TimeSpan Elapsed)
{
    public CommandResult OrThrow() => ExitCode == 0 ? this : throw new CommandFailedException(this);

    /// <summary>Everything seen, for the message of a failed expectation.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"`{Line}` exited with {ExitCode} after {Elapsed.TotalMilliseconds:0} ms\nstdout: {Stdout.Trim()}\nstderr: {Stderr.Trim()}");
}

/// <summary>A program that had to succeed did not.</summary>
public sealed class CommandFailedException(CommandResult result) : Exception(result.ToString())
{
    public CommandResult Result { get; } = result;
}
