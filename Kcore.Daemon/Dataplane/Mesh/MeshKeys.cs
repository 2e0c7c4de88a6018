using System.Security.Cryptography;
using Kcore.Daemon.Reconciliation;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>Holds this node's WireGuard key, which is made when an encrypted network is first heard of. May be called from anywhere.</summary>
internal sealed partial class MeshKeys(MeshKeyFile file, ILogger logger)
{
    private readonly Lock _change = new();

    /// <param name="Key">Null before it is needed, and while it cannot be read or stored.</param>
    /// <param name="Failure">Why it cannot.</param>
    internal sealed record Holding(MeshKey? Key, string? Failure);

    public Published<Holding> Current { get; } = new(new Holding(null, null));

    /// <summary>Reads the key of an earlier run, if there is one.</summary>
    public void Load() => Try(file.Read);

    /// <summary>Makes a key when there is none; a failure is tried again at the next call.</summary>
    public void Ensure()
    {
        if (Current.Current.Key is null)
        {
            Try(() => file.Read() ?? Store(MeshKey.Make()));
        }
    }

    /// <summary>Replaces the key. Pairs that speak with each other pause until the peer has heard of it.</summary>
    /// <exception cref="IOException">It cannot be stored; the old one stays.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public MeshKey Rotate()
    {
        lock (_change)
        {
            MeshKey key = Store(MeshKey.Make());
            Current.Replace(new Holding(key, null));
            return key;
        }
    }

    private MeshKey Store(MeshKey key)
    {
        file.Write(key);
        Log.Made(logger, key.Public.ToString());
        return key;
    }

    private void Try(Func<MeshKey?> take)
    {
        lock (_change)
        {
            Holding next;
            try
            {
                next = new Holding(take(), null);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or CryptographicException)
            {
                next = new Holding(null, e.Message);
            }

            if (next != Current.Current)
            {
                Current.Replace(next);
                if (next.Failure is { } failure)
                {
                    Log.Failed(logger, failure);
                }
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(6101, LogLevel.Information, "A WireGuard key was made; its public half is {Key}")]
        public static partial void Made(ILogger logger, string key);

        [LoggerMessage(6102, LogLevel.Error, "There is no WireGuard key: {Cause}")]
        public static partial void Failed(ILogger logger, string cause);
    }
}
