using Kcore.TestKit.Lan;

namespace Kcore.TestKit.Faults;

/// <summary>A small disk for every node of a LAN.</summary>
public sealed class SmallDisks : IAsyncDisposable
{
    private readonly NodeLan _lan;
    private readonly List<SmallDisk> _disks = [];

    private SmallDisks(NodeLan lan) => _lan = lan;

    public IReadOnlyList<SmallDisk> Disks => _disks;

    public static async Task<SmallDisks> MountAsync(NodeLan lan)
    {
        var disks = new SmallDisks(lan);
        try
        {
            foreach (LanNode node in lan.Nodes)
            {
                disks._disks.Add(await SmallDisk.MountAsync(node));
            }

            return disks;
        }
        catch
        {
            await disks.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Who waits for a disk that hangs does not die, and a daemon keeps its directory's file system from going away.
        foreach (SmallDisk disk in _disks)
        {
            await disk.WakeAsync();
        }

        foreach (LanNode node in _lan.Nodes.Where(n => n.IsRunning))
        {
            await node.KillAsync();
        }

        foreach (SmallDisk disk in _disks)
        {
            await disk.DisposeAsync();
        }
    }
}
