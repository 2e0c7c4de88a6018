using System.Runtime.InteropServices;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>Takes the LAN away, with everything that runs in it, when somebody stops the bench before its end.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly PosixSignalRegistration[] _signals;
    private int _stopped;

    public Interruption(NodeLan lan) =>
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }.Select(s => PosixSignalRegistration.Create(s, context =>
        {
            context.Cancel = true;
            if (Interlocked.Exchange(ref _stopped, 1) == 0)
            {
                _ = EndAsync(lan);
            }
        }))];

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals)
        {
            signal.Dispose();
        }
    }

    private static async Task EndAsync(NodeLan lan)
    {
        try
        {
            await lan.DisposeAsync();
        }
        finally
        {
            Environment.Exit(130);
        }
    }
}
