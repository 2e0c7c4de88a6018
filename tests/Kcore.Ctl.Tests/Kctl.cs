using Kcore.Ctl.Commands;
using Kcore.TestKit;

namespace Kcore.Ctl.Tests;

/// <summary>Runs the real command line in-process.</summary>
internal sealed class Kctl : IDisposable
{
    private readonly StringWriter _out = new() { NewLine = "\n" };
    private readonly StringWriter _error = new() { NewLine = "\n" };
    private readonly SteppedTime _time = new();

    public CancellationTokenSource Interrupt { get; } = new();

    public Action? OnPause { get; init; }

    public string Out => _out.ToString();

    public string Error => _error.ToString();

    public static (ExitCode Code, string Out, string Error) Run(string socket, params string[] args)
    {
        using var kctl = new Kctl();
        return (kctl.Invoke(socket, args), kctl.Out, kctl.Error);
    }

    public static (ExitCode Code, string Out, string Error) Against(Func<string, byte[]> answer, params string[] args)
    {
        using var daemon = new FakeDaemon(answer);
        return Run(daemon.Path, args);
    }

    public ExitCode Invoke(string socket, params string[] args) => CommandLine.Run(args, new Surroundings(
        _out,
        _error,
        name => name == "KCORE_SOCKET" ? socket : null,
        _time,
        pause =>
        {
            OnPause?.Invoke();
            _time.Advance(pause);
        },
        ColourErrors: false,
        Interrupt.Token));

    public void Dispose() => Interrupt.Dispose();
}
