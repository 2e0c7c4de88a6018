using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Ipam.Attachments;

namespace Kcore.Daemon.Tests.Ipam.Attachments;

public sealed class LostLeasesTests
{
    private static readonly TimeSpan Wait = LostLeases.Wait;

    [Fact]
    public void An_address_without_a_lease_counts_only_after_a_recovery_and_a_while()
    {
        var lost = new LostLeases();
        AttachmentSet set = Set(Nic(1), Nic(2));
        Assert.Empty(lost.Find(set, [2], epoch: 1, TimeSpan.Zero));
        Assert.Empty(lost.Find(set, [2], epoch: 2, Wait));
        Assert.Empty(lost.Find(set, [2], epoch: 2, (Wait * 2) - TimeSpan.FromTicks(1)));
        Assert.Equal((UInt128)1, Assert.Single(lost.Find(set, [2], epoch: 2, Wait * 2)));
        Assert.Empty(lost.Find(set, [1, 2], epoch: 2, Wait * 3));
        Assert.Empty(lost.Find(set, [2], epoch: 2, Wait * 4));
    }

    [Fact]
    public void What_has_no_address_is_local_or_goes_away_is_nobodys_to_adopt()
    {
        var lost = new LostLeases();
        AttachmentSet set = Set(Nic(1) with { Address = null }, Nic(2) with { Local = true }, Nic(3) with { Releasing = true });
        lost.Find(set, [], epoch: 2, TimeSpan.Zero);
        Assert.Empty(lost.Find(set, [], epoch: 2, Wait));
    }

    private static AttachmentSet Set(params AttachmentRecord[] records) => new(records.ToImmutableSortedDictionary(r => r.Id, r => r));

    private static AttachmentRecord Nic(uint id) => new()
    {
        Id = id,
        Network = 9,
        NetworkName = "private",
        Name = $"n{id}",
        Mac = PhysicalAddress.Parse("020000000001"),
        Device = "tap-1",
        Address = IPAddress.Parse("10.0.0.2"),
    };
}
