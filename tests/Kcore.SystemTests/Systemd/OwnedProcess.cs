using System.Diagnostics;
using System.Text;

namespace Kcore.SystemTests.Systemd;

/// <summary>
/// A shell script that owns something of the kernel and gives it back when its standard input ends, be it because it
/// is disposed of, be it because the test process died.
/// </summary>
internal sealed class OwnedProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource _cue = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _cueText;

    private OwnedProcess(Process process, string cue)
    {
        _process = process;
        _cueText = cue;
        process.OutputDataReceived += OnLine;
        process.ErrorDataReceived += OnLine;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Pid => _process.Id;

    /// <summary>Completes when the script has said its cue, or says nothing any more.</summary>
    public Task Cue => _cue.Task;

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <param name="cue">Part of the line that completes <see cref="Cue"/>.</param>
    /// <param name="unshare">Namespaces it gets of its own, as options of unshare(1).</param>
    public static OwnedProcess Start(
        string cue,
        IReadOnlyList<string> unshare,
        string script,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        // A session of its own: a signal to the test's process group must not end the owner before its work is done.
        ProcessStartInfo start = new("setsid", ["unshare", .. unshare, "/bin/sh", "-c", script, "kcore-test", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            start.Environment[name] = value;
        }

        Process process = Process.Start(start) ?? throw new InvalidOperationException("setsid was not started");
        return new OwnedProcess(process, cue);
    }

    /// <summary>Writes one line to the script's standard input.</summary>
    public async Task OrderAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using CancellationTokenSource deadline = new(Patience);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException e)
        {
            _process.Kill(entireProcessTree: true);
            throw new TimeoutException($"The owner of a host did not end within {Patience.TotalSeconds:0} s:\n{Output}", e);
        }
        finally
        {
            _process.Dispose();
        }
    }

    private void OnLine(object sender, DataReceivedEventArgs e)
    {
        if (e.Data is { } line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }
        }

        if (e.Data is null || e.Data.Contains(_cueText, StringComparison.Ordinal))
        {
            _cue.TrySetResult();
        }
    }
}
