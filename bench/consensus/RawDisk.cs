using System.Diagnostics;
using System.Security.Cryptography;
using Kcore.Daemon.Storage.RaftLog;

namespace Kcore.Bench.Consensus;

/// <summary>What the disk itself takes: one sector into a preallocated file, made durable with fdatasync(2).</summary>
internal static class RawDisk
{
    private const int SectorBytes = 512;

    /// <summary>Milliseconds of each write.</summary>
    public static double[] Measure(string directory, int writes)
    {
        string place = Path.Combine(directory, "raw");
        byte[] sector = RandomNumberGenerator.GetBytes(SectorBytes);
        var times = new double[writes];
        using (IStoreFile file = new PosixFileLayer(place).Create("raw"))
        {
            file.Preallocate(writes * (long)SectorBytes);
            file.Sync();
            for (int i = 0; i < writes; i++)
            {
                long begun = Stopwatch.GetTimestamp();
                file.Write(i * (long)SectorBytes, sector);
                file.SyncData();
                times[i] = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            }
        }

        Directory.Delete(place, recursive: true);
        return times;
    }
}
