using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Tests.Storage;

namespace Kcore.Daemon.Tests.Ipam.Attachments;

public sealed class AttachmentTableTests : IDisposable
{
    private readonly TestDatabase _test = new();

    internal static AttachmentRecord Record(UInt128 id, string name = "web-01", string? address = null) => new()
    {
        Id = id,
        Network = 1,
        NetworkName = "prod",
        Name = name,
        Mac = PhysicalAddress.Parse("52-54-00-0B-9D-9F"),
        Device = "tap-0b9d9f06",
        Address = address is null ? null : IPAddress.Parse(address),
    };

    [Fact]
    public void An_attachment_is_found_again_after_a_restart_with_everything_it_says()
    {
        AttachmentRecord full = Record(UInt128.MaxValue, address: "10.88.0.2") with
        {
            Netns = "/run/netns/web",
            Ifname = "eth0",
            Wanted = IPAddress.Parse("10.88.0.2"),
            Releasing = true,
            Local = true,
            Grant = ulong.MaxValue,
            Instead = 7,
            PreparedFor = UInt128.MaxValue - 1,
            Since = 77,
        };
        var table = new AttachmentTable(_test.Database);
        table.Change(_ => Record(1, "least"));
        table.Change(_ => full);

        Assert.Equal([Record(1, "least"), full], new AttachmentTable(_test.Reopen()).Current.Current.Records.Values);
    }

    [Fact]
    public void Nothing_is_published_that_is_not_on_disk()
    {
        var table = new AttachmentTable(_test.Database);
        table.Change(_ => Record(1));
        _test.Database.Write(c => SqlStatement.Run(c, "ALTER TABLE attachment RENAME TO hidden"));

        Assert.Throws<StorageException>(() => table.Change(_ => Record(2)));
        Assert.Throws<StorageException>(() => table.Remove(1));

        Assert.Equal([Record(1)], table.Current.Current.Records.Values);
    }

    [Fact]
    public void Of_many_calls_for_one_name_exactly_one_decides()
    {
        var table = new AttachmentTable(_test.Database);
        int won = 0;

        Parallel.For(1, 33, i =>
        {
            if (table.Change(now => now.Find(1, "web-01") is null ? Record((UInt128)i) : null) is not null)
            {
                Interlocked.Increment(ref won);
            }
        });

        Assert.Equal(1, won);
        Assert.Single(new AttachmentTable(_test.Reopen()).Current.Current.Records);
    }

    [Fact]
    public void A_name_is_free_again_as_soon_as_its_NIC_is_on_the_way_out()
    {
        var table = new AttachmentTable(_test.Database);
        table.Change(_ => Record(1));
        table.Change(now => now.Records[1] with { Releasing = true });

        Assert.Null(table.Current.Current.Find(1, "web-01"));
        Assert.Empty(table.Current.Current.Wanted);
        Assert.Single(table.Current.Current.Records);
    }

    [Fact]
    public async Task Whoever_waits_hears_of_a_change_and_of_a_removal()
    {
        var table = new AttachmentTable(_test.Database);
        (_, long revision) = table.Current.Read();
        Task changed = table.Current.ChangedSince(revision, default);
        table.Change(_ => Record(1));
        await changed.WaitAsync(TimeSpan.FromSeconds(5));

        table.Remove(1);

        Assert.Empty(table.Current.Current.Records);
        Assert.Empty(new AttachmentTable(_test.Reopen()).Current.Current.Records);
    }

    [Fact]
    public void A_row_of_an_earlier_version_is_of_an_overlay()
    {
        const string Row = """{"Id":"1","Network":"1","NetworkName":"prod","Name":"web-01","Mac":"5254000B9D9F","Device":"tap-0b9d9f06","Netns":null,"Ifname":null,"Wanted":null,"Address":null,"Releasing":false}""";
        _test.Database.Write(c => SqlStatement.Run(c, "INSERT INTO attachment (id, body) VALUES (x'01', $0)", System.Text.Encoding.UTF8.GetBytes(Row)));

        Assert.Equal(Record(1), Assert.Single(new AttachmentTable(_test.Database).Current.Current.Records.Values));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[1]")]
    [InlineData("{\"Id\":\"x\",\"Network\":\"1\",\"NetworkName\":\"\",\"Name\":\"\",\"Mac\":\"\",\"Device\":\"\"}")]
    public void A_damaged_row_is_left_out(string json)
    {
        _test.Database.Write(c => SqlStatement.Run(c, "INSERT INTO attachment (id, body) VALUES (x'01', $0)", System.Text.Encoding.UTF8.GetBytes(json)));

        Assert.Empty(new AttachmentTable(_test.Database).Current.Current.Records);
    }

    public void Dispose() => _test.Dispose();
}
