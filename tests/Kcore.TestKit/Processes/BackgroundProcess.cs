using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Kcore.TestKit.Processes;

/// <summary>A program that runs beside the test; its output goes to a file, line by line.</summary>
public sealed partial class BackgroundProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly Task _output;

    private BackgroundProcess(Process process, string line, string logPath)
    {
        _process = process;
        Line = line;
        Pid = process.Id;
        LogPath = logPath;
        _output = Task.WhenAll(CopyAsync(process.StandardOutput, logPath), CopyAsync(process.StandardError, logPath));
    }

    public string Line { get; }

    public int Pid { get; }

    public string LogPath { get; }

    public bool HasExited => _process.HasExited;

    /// <param name="logPath">Output is appended here.</param>
    public static BackgroundProcess Start(
        string file,
        IReadOnlyList<string> arguments,
        string logPath,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        Process process = Command.Start(file, arguments, environment);
        process.StandardInput.Close();
        return new BackgroundProcess(process, Command.Describe(file, arguments), logPath);
    }

    /// <summary>Sends a signal; one that comes after the end of the process is no error.</summary>
    public void Signal(Signal signal)
    {
        if (!_process.HasExited)
        {
            _ = Kill(Pid, (int)signal);
        }
    }

    /// <returns>The exit code; 128 + signal number when a signal ended it.</returns>
    public async Task<int> WaitForExitAsync(TimeSpan? limit = null)
    {
        using CancellationTokenSource deadline = new(limit ?? Patience);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException e)
        {
            throw new TimeoutException(
                $"Still running after {(limit ?? Patience).TotalSeconds:0.#} s (pid {Pid}): {Line}", e);
        }

        await _output;
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Signal(Processes.Signal.Kill);
            await WaitForExitAsync();
        }

        _process.Dispose();
    }

    // Both streams end in one file; a line is written whole, so they never mix inside a line.
    private static async Task CopyAsync(StreamReader reader, string path)
    {
        while (await reader.ReadLineAsync() is { } text)
        {
            await using FileStream file = new(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
            await file.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text + "\n"));
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}

/// <summary>Signal numbers of Linux on amd64 and arm64 (asm-generic/signal.h).</summary>
public enum Signal
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}
